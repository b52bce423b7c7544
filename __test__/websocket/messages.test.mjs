// Messages both ways: types, sizes, order. https://websockets.spec.whatwg.org/#feedback-from-the-protocol

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BINARY,
  CONTINUATION,
  echo,
  fragment,
  frame,
  frameServer,
  frames,
  heard,
  listening,
  next,
  PING,
  PONG,
  TEXT,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

async function connected(t, connection = echo) {
  const { url } = await listening(t, connection);
  const socket = new WebSocket(url);
  await next(socket, 'open');
  return socket;
}

test('text and binary come back as they went', async (t) => {
  const socket = await connected(t);
  socket.binaryType = 'arraybuffer';
  for (const text of [
    '',
    'a',
    'κόσμε 🎉',
    '\0',
    'é'.repeat(65_536),
    'x'.repeat(125),
    'x'.repeat(126),
    'x'.repeat(65_536),
  ]) {
    socket.send(text);
    assert.equal((await next(socket, 'message')).data, text);
  }
  for (const length of [0, 1, 125, 126, 16_384, 16_385, 65_535, 65_536, 5_000_000]) {
    const bytes = Buffer.alloc(length, 'abcdefg');
    socket.send(bytes);
    const { data } = await next(socket, 'message');
    assert.ok(data instanceof ArrayBuffer);
    assert.ok(bytes.equals(Buffer.from(data)));
  }
  socket.close();
});

test('lone surrogates become U+FFFD', async (t) => {
  const socket = await connected(t);
  socket.send('a\ud800b\udc00');
  assert.equal((await next(socket, 'message')).data, 'a\ufffdb\ufffd');
  socket.send(`${'x'.repeat(100_000)}\ud800`);
  assert.equal((await next(socket, 'message')).data, `${'x'.repeat(100_000)}\ufffd`);
  socket.close();
});

test('what send() takes, and that it takes it at the call', async (t) => {
  const socket = await connected(t);
  socket.binaryType = 'nodebuffer';
  const received = [];
  socket.onmessage = ({ data }) => received.push(typeof data === 'string' ? data : data.toString());
  const buffer = new TextEncoder().encode('0123456789');
  socket.send(buffer);
  socket.send(buffer.buffer);
  socket.send(buffer.subarray(2, 4));
  socket.send(new DataView(buffer.buffer, 1, 3));
  socket.send(new Uint16Array(buffer.buffer, 2, 2));
  socket.send(new Blob(['blob']));
  socket.send(buffer);
  socket.send(buffer.buffer);
  buffer.fill(0);
  const large = Buffer.alloc(100_000, 'L');
  socket.send(large);
  large.fill(0);
  socket.send(new Blob([]));
  for (const value of [1, null, undefined, true, { toString: () => 'object' }, [1, 2]]) socket.send(value);
  socket.send('end');
  while (received.at(-1) !== 'end') await next(socket, 'message');
  assert.deepEqual(received, [
    ...['0123456789', '0123456789', '23', '123', '2345', 'blob', '0123456789', '0123456789'],
    ...['L'.repeat(100_000), '', '1', 'null', 'undefined', 'true', 'object', '1,2', 'end'],
  ]);
  assert.throws(() => socket.send(), TypeError);
  assert.throws(() => socket.send(Symbol('a')), TypeError);
  assert.throws(() => socket.send(new Uint8Array(new SharedArrayBuffer(1))), TypeError);
  assert.throws(() => socket.send(new ArrayBuffer(1, { maxByteLength: 2 })), TypeError);
  const detached = new ArrayBuffer(4);
  structuredClone(detached, { transfer: [detached] });
  socket.send(detached);
  assert.equal((await next(socket, 'message')).data.length, 0);
  socket.close();
});

test('send() while connecting throws', async (t) => {
  const { url } = await listening(t, echo);
  const socket = new WebSocket(url);
  assert.throws(() => socket.send('a'), { name: 'InvalidStateError' });
  await next(socket, 'open');
  socket.close();
});

test('binaryType', async (t) => {
  const socket = await connected(t);
  assert.equal(socket.binaryType, 'blob');
  socket.binaryType = 'nonsense';
  assert.equal(socket.binaryType, 'blob');
  socket.send(Buffer.from('one'));
  const blob = (await next(socket, 'message')).data;
  assert.ok(blob instanceof Blob);
  assert.equal(await blob.text(), 'one');
  socket.binaryType = 'arraybuffer';
  socket.send(Buffer.from('two'));
  assert.equal((await next(socket, 'message')).data.byteLength, 3);
  socket.binaryType = 'nodebuffer';
  socket.send(Buffer.from('three'));
  const { data } = await next(socket, 'message');
  assert.ok(Buffer.isBuffer(data));
  assert.equal(data.toString(), 'three');
  socket.close();
});

test('the message event', async (t) => {
  const socket = await connected(t);
  socket.send('a');
  const event = await next(socket, 'message');
  assert.ok(event instanceof MessageEvent);
  assert.equal(event.origin, new URL(socket.url).origin);
  assert.deepEqual([event.type, event.lastEventId, event.source, event.ports.length], ['message', '', null, 0]);
  assert.equal(event.target, socket);
  socket.close();
});

test('a burst keeps its order, and each message is a task of its own', async (t) => {
  const COUNT = 20_000;
  const socket = await connected(t);
  let expected = 0;
  let microtasks = 0;
  const done = new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      assert.equal(data, String(expected));
      assert.equal(microtasks, expected);
      expected += 1;
      Promise.resolve().then(() => {
        microtasks += 1;
      });
      if (expected === COUNT) resolve();
    };
  });
  for (let i = 0; i < COUNT; i += 1) socket.send(String(i));
  await done;
  socket.close();
});

test('a million messages that come at once: all, in order, and timers have their turn between', async (t) => {
  const COUNT = 1_000_000;
  // A frame of a server: two bytes, and the number.
  const burst = Buffer.alloc(COUNT * 6);
  for (let number = 0; number < COUNT; number += 1) {
    burst.writeUInt16BE(0x8204, number * 6);
    burst.writeUInt32BE(number, number * 6 + 2);
  }
  const { url } = await frameServer(t, (socket) => socket.write(burst));
  const socket = new WebSocket(url);
  socket.binaryType = 'nodebuffer';
  let received = 0;
  let turns = 0;
  const timer = setInterval(() => {
    if (received > 0) turns += 1;
  }, 1);
  t.after(() => clearInterval(timer));
  await new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      if (data.readUInt32BE(0) !== received) assert.fail(`${data.readUInt32BE(0)} instead of ${received}`);
      received += 1;
      if (received === COUNT) resolve();
    };
  });
  assert.notEqual(turns, 0);
  socket.close();
});

test('long and short messages in a burst come whole and in order, at both ends', async (t) => {
  const LENGTHS = [0, 16_384, 3, 65_536, 20_000, 125, 16_383, 100_000, 70_000, 1, 300_000, 65_000];
  const COUNT = 20 * LENGTHS.length;
  const content = (index) => {
    const bytes = Buffer.alloc(LENGTHS[index % LENGTHS.length], 97 + (index % 26));
    if (bytes.length > 8) bytes.write(String(index), bytes.length - 8);
    return bytes;
  };
  const socket = await connected(t);
  socket.binaryType = 'nodebuffer';
  const kept = [];
  const done = new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      kept.push(data);
      if (kept.length === COUNT) resolve();
    };
  });
  for (let index = 0; index < COUNT; index += 1) {
    socket.send(index % 3 === 0 ? content(index).toString('latin1') : content(index));
  }
  await done;
  // Looked at when all have come: what one is read into must not serve the next one too early.
  kept.forEach((data, index) => {
    assert.equal(typeof data === 'string', index % 3 === 0);
    assert.ok(content(index).equals(typeof data === 'string' ? Buffer.from(data) : data), `message ${index}`);
  });
  socket.close();
});

test('long messages behind a close() are dropped, and nobody else gets them', async (t) => {
  const long = (letter) => Buffer.alloc(20_000, letter);
  const { url: closing } = await frameServer(t, (socket) => {
    socket.write(Buffer.concat(['a', 'b', 'c'].map((letter) => frame(BINARY, long(letter)))));
  });
  const other = await connected(t);
  other.binaryType = 'nodebuffer';
  const socket = new WebSocket(closing, { closeTimeoutMs: 1 });
  const { events, closed } = heard(socket);
  socket.addEventListener('message', () => socket.close(), { once: true });
  await next(socket, 'message');
  other.send(long('d'));
  assert.ok((await next(other, 'message')).data.equals(long('d')));
  await closed;
  assert.equal(events.filter(([type]) => type === 'message').length, 1);
  other.close();
});

test('fragments with control frames between, and messages cut anywhere', async (t) => {
  const stream = Buffer.concat([
    fragment(TEXT, 'κό'),
    frame(PING, 'p'),
    fragment(CONTINUATION, 'σ'),
    frame(0x80, 'με'),
    frame(PONG),
    fragment(BINARY, ''),
    fragment(CONTINUATION, Buffer.alloc(300, 7)),
    frame(0x80, Buffer.alloc(70_000, 8)),
    frame(TEXT, 'end'),
  ]);
  const { url } = await frameServer(t, (socket) => {
    socket.setNoDelay();
    let at = 0;
    const write = () => {
      const chunk = stream.subarray(at, at + (at < 400 ? 1 : 977));
      at += chunk.length;
      if (chunk.length > 0) socket.write(chunk, write);
    };
    write();
  });
  const socket = new WebSocket(url);
  socket.binaryType = 'nodebuffer';
  const { events } = heard(socket);
  while (events.at(-1)?.[1] !== 'end') await next(socket, 'message');
  assert.deepEqual(events, [
    ['open'],
    ['message', 'κόσμε'],
    ['message', Buffer.concat([Buffer.alloc(300, 7), Buffer.alloc(70_000, 8)])],
    ['message', 'end'],
  ]);
});

test('what a client writes is masked, with other masks each time', async (t) => {
  const received = new Promise((resolve) => {
    frameServer(t, (socket) => {
      let bytes = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        bytes = Buffer.concat([bytes, chunk]);
        if (frames(bytes).length === 4) resolve({ bytes, socket });
      });
    }).then(({ url }) => {
      const client = new WebSocket(url);
      client.onopen = () => {
        for (let i = 0; i < 3; i += 1) client.send('same');
        client.send(Buffer.from('same'));
      };
    });
  });
  const { bytes } = await received;
  const list = frames(bytes);
  assert.ok(list.every(({ masked }) => masked));
  assert.deepEqual(
    list.map(({ first, payload }) => [first, payload.toString()]),
    [TEXT, TEXT, TEXT, BINARY].map((opcode) => [opcode | 0x80, 'same']),
  );
  const masks = new Set([2, 12, 22, 32].map((at) => bytes.subarray(at, at + 4).toString('hex')));
  assert.equal(masks.size, 4);
});

test('a listener that throws, and one that is replaced in itself', async (t) => {
  const socket = await connected(t);
  const caught = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => caught.push(error.message));
  socket.onmessage = () => {
    socket.onmessage = () => {};
    throw new Error('mine');
  };
  socket.send('one');
  socket.send('two');
  await next(socket, 'message');
  await next(socket, 'message');
  process.removeAllListeners('uncaughtException');
  for (const listener of before) process.on('uncaughtException', listener);
  assert.deepEqual(caught, ['mine']);
  socket.close();
});

test('bytes whose memory has been transferred are an empty message', async (t) => {
  const { url } = await listening(t, echo);
  const socket = new WebSocket(url);
  await next(socket, 'open');
  socket.binaryType = 'arraybuffer';
  const views = [
    (buffer) => buffer,
    (buffer) => new Uint8Array(buffer),
    (buffer) => new Uint16Array(buffer, 2, 1),
    (buffer) => new DataView(buffer, 1),
    (buffer) => Buffer.from(buffer),
  ];
  for (const view of views) {
    const buffer = new ArrayBuffer(8);
    const bytes = view(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    socket.send(bytes);
    socket.ping(bytes);
    assert.equal((await next(socket, 'message')).data.byteLength, 0);
  }
  assert.equal(socket.bufferedAmount, 0);
});

test('a Blob is read as it is, whatever a subclass makes of its methods', async (t) => {
  class Own extends Blob {
    get size() {
      return super.size;
    }
    arrayBuffer() {
      throw new Error('must not be called');
    }
  }
  const { url } = await listening(t, echo);
  const socket = new WebSocket(url);
  await next(socket, 'open');
  socket.binaryType = 'arraybuffer';
  socket.send(new Own(['abc']));
  assert.equal(Buffer.from((await next(socket, 'message')).data).toString(), 'abc');
});
