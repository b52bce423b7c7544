// WebSocketStream: messages and ends. https://whatpr.org/websockets/48.html#the-websocketstream-interface

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import {
  BINARY,
  CLOSE,
  closeBody,
  connected,
  frame,
  frameServer,
  frames,
  isWebSocketError,
  listening,
  next,
  PING,
  PONG,
  reasonOf,
  TEXT,
  WebSocketError,
  WebSocketStream,
} from '../helpers/websocket-ends.mjs';

test('text comes as strings, bytes as Uint8Array, each as one chunk', async (t) => {
  const { stream, readable, writable } = await connected(t);
  const writer = writable.getWriter();
  const reader = readable.getReader();
  for (const text of ['', 'κόσμε 🎉', 'x'.repeat(200_000)]) {
    await writer.write(text);
    assert.deepEqual(await reader.read(), { value: text, done: false });
  }
  for (const length of [0, 1, 16_384, 3_000_000]) {
    const bytes = new Uint8Array(length).fill(7);
    const written = writer.write(bytes);
    // The data is taken when the sink gets it, before the promise is settled.
    const { value } = await reader.read();
    await written;
    assert.equal(Object.getPrototypeOf(value), Uint8Array.prototype);
    assert.equal(value.byteLength, value.buffer.byteLength);
    assert.ok(Buffer.from(bytes).equals(value));
  }
  for (const [chunk, expected] of [
    [new Uint16Array([1, 2]), new Uint8Array([1, 0, 2, 0])],
    [new Uint8Array([1, 2, 3]).buffer, new Uint8Array([1, 2, 3])],
    [new DataView(new ArrayBuffer(4), 1, 2), new Uint8Array(2)],
    [12, '12'],
    [null, 'null'],
    ['a\ud800', 'a\ufffd'],
    [new Blob(['not sent as such']), '[object Blob]'],
  ]) {
    await writer.write(chunk);
    assert.deepEqual((await reader.read()).value, expected);
  }
  stream.close();
});

test('many small messages keep their order', async (t) => {
  const { readable, writable } = await connected(t);
  const writer = writable.getWriter();
  const count = 20_000;
  const write = async () => {
    for (let i = 0; i < count; i += 1) await writer.write(String(i));
    await writer.close();
  };
  const written = write();
  let expected = 0;
  for await (const text of readable) {
    assert.equal(text, String(expected));
    expected += 1;
    // What comes when the script has begun to close is not heard any more.
    if (expected === count - 1) break;
  }
  await written;
});

test('a chunk that cannot be converted errors the writable stream, and only that', async (t) => {
  const { stream, readable, writable } = await connected(t, (socket) => socket.send('still heard'));
  const writer = writable.getWriter();
  await assert.rejects(writer.write(Symbol()), TypeError);
  await assert.rejects(writer.closed, TypeError);
  assert.equal((await readable.getReader().read()).value, 'still heard');
  stream.close();
  await stream.closed;
});

test('shared and resizable memory is refused', async (t) => {
  const { stream, writable } = await connected(t);
  await assert.rejects(writable.getWriter().write(new Uint8Array(new SharedArrayBuffer(1))), TypeError);
  stream.close();
});

test('a message above maxMessageSize ends the stream', async (t) => {
  const { stream, readable } = await connected(t, (socket) => socket.send('x'.repeat(1001)), { maxMessageSize: 1000 });
  const error = await reasonOf(stream.closed);
  isWebSocketError(error, 1006);
  assert.equal(await reasonOf(readable.getReader().read()), error);
});

test('close() says code and reason, and closed what the peer says', async (t) => {
  for (const [info, expected] of [
    [undefined, [1005, '']],
    [{}, [1005, '']],
    [{ reason: '' }, [1005, '']],
    [{ reason: 'why' }, [1000, 'why']],
    [{ closeCode: 3456, reason: 'κόσμε' }, [3456, 'κόσμε']],
    [{ closeCode: 1000 }, [1000, '']],
  ]) {
    const { stream, readable, writable } = await connected(t);
    const reader = readable.getReader();
    const writer = writable.getWriter();
    stream.close(info);
    stream.close({ closeCode: 4999 });
    const { closeCode, reason } = await stream.closed;
    assert.deepEqual([closeCode, reason], expected);
    assert.deepEqual(await reader.read(), { value: undefined, done: true });
    await assert.rejects(writer.ready, { name: 'InvalidStateError' });
    await assert.rejects(writer.write('too late'), { name: 'InvalidStateError' });
    await reader.cancel();
  }
});

test('what close() refuses', async (t) => {
  const { stream } = await connected(t);
  for (const closeCode of [999, 1001, 2999, 5000]) {
    assert.throws(() => stream.close({ closeCode }), { name: 'InvalidAccessError' });
  }
  for (const closeCode of [-1, 65_536, Number.NaN, Infinity, Symbol()]) {
    assert.throws(() => stream.close({ closeCode }), TypeError);
  }
  assert.throws(() => stream.close(true), TypeError);
  assert.throws(() => stream.close({ reason: 'é'.repeat(62) }), { name: 'SyntaxError' });
  assert.throws(() => stream.close({ closeCode: 1000, reason: Symbol() }), TypeError);
  stream.close();
});

for (const [what, end] of [
  ['cancel()', ({ readable }, reason) => readable.cancel(reason)],
  ['abort()', ({ writable }, reason) => writable.abort(reason)],
]) {
  test(`${what} closes with the code of a WebSocketError, and with none else`, async (t) => {
    const foreign = Object.assign(new DOMException('', 'DataCloneError'), { closeCode: 1000, reason: 'no' });
    const ended = await connected(t, (socket) => socket.close(1000));
    await ended.stream.closed;
    for (const [reason, expected] of [
      [undefined, [1005, '']],
      [foreign, [1005, '']],
      [{ closeCode: 3333 }, [1005, '']],
      [new WebSocketError('', { closeCode: 3333 }), [3333, '']],
      [new WebSocketError('', { closeCode: 3333, reason: 'why' }), [3333, 'why']],
      [new WebSocketError('', { reason: 'why' }), [1000, 'why']],
      [await brokenError(t), [1005, '']],
    ]) {
      const { stream, ...streams } = await connected(t);
      await end(streams, reason);
      const { closeCode, reason: said } = await stream.closed;
      assert.deepEqual([closeCode, said], expected);
    }
  });
}

/** An error with a code that a script may not use. */
async function brokenError(t) {
  const { url } = await frameServer(t, (socket) => socket.end());
  const stream = new WebSocketStream(url);
  await stream.opened;
  const error = await reasonOf(stream.closed);
  isWebSocketError(error, 1006);
  return error;
}

test('closing the writable stream sends a Close frame, and is done when the connection is', async (t) => {
  let answer;
  const { url } = await frameServer(t, async (socket) => {
    const chunks = [];
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (frames(Buffer.concat(chunks)).some(({ first }) => first === 0x88)) answer(socket);
    });
  });
  const asked = new Promise((resolve) => {
    answer = resolve;
  });
  const stream = new WebSocketStream(url);
  const { writable } = await stream.opened;
  const order = [];
  const closed = writable
    .getWriter()
    .close()
    .then(() => order.push('close()'));
  const socket = await asked;
  order.push('asked');
  socket.end(Buffer.concat([frame(TEXT, 'not heard any more'), frame(CLOSE)]));
  await Promise.all([closed, stream.closed.then(() => order.push('closed'))]);
  assert.deepEqual(order.slice(0, 1), ['asked']);
  assert.equal(order.length, 3);
});

test('closing the writable stream fails when the connection does', async (t) => {
  const { url } = await frameServer(t, (socket) => socket.once('data', () => socket.destroy()));
  const stream = new WebSocketStream(url);
  const { writable } = await stream.opened;
  const error = await reasonOf(writable.getWriter().close());
  isWebSocketError(error, 1006);
  assert.equal(await reasonOf(stream.closed), error);
});

test('messages before a Close frame are read after it', async (t) => {
  const { url } = await frameServer(t, (socket) => {
    const messages = Array.from({ length: 100 }, (_, index) => frame(TEXT, String(index)));
    socket.write(Buffer.concat([...messages, frame(CLOSE, closeBody(4000, 'bye'))]));
    socket.once('data', () => socket.end());
  });
  const stream = new WebSocketStream(url);
  const { readable, writable } = await stream.opened;
  assert.deepEqual(await stream.closed, { closeCode: 4000, reason: 'bye' });
  await assert.rejects(writable.getWriter().closed, { name: 'InvalidStateError' });
  const read = [];
  for await (const text of readable) read.push(text);
  assert.deepEqual(
    read,
    Array.from({ length: 100 }, (_, index) => String(index)),
  );
});

test('messages before the connection broke are read before the error', async (t) => {
  const { url } = await frameServer(t, (socket) => {
    socket.end(Buffer.concat([frame(TEXT, 'one'), frame(BINARY, 'two')]));
  });
  const stream = new WebSocketStream(url);
  const { readable, writable } = await stream.opened;
  const error = await reasonOf(stream.closed);
  isWebSocketError(error, 1006);
  const reader = readable.getReader();
  assert.equal((await reader.read()).value, 'one');
  assert.equal(Buffer.from((await reader.read()).value).toString(), 'two');
  assert.equal(await reasonOf(reader.read()), error);
  assert.equal(await reasonOf(writable.getWriter().ready), error);
});

test('the last message ends the stream, without another read', async (t) => {
  const { url } = await frameServer(t, (socket) => {
    socket.write(Buffer.concat([frame(TEXT, 'last'), frame(CLOSE)]));
    socket.once('data', () => socket.end());
  });
  const stream = new WebSocketStream(url);
  const { readable } = await stream.opened;
  await stream.closed;
  const reader = readable.getReader();
  assert.equal((await reader.read()).value, 'last');
  await reader.closed;
});

test('close() drops what nobody has read', async (t) => {
  let flooded;
  const { url } = await frameServer(t, (socket) => {
    socket.write(Buffer.concat([frame(TEXT, 'read'), frame(TEXT, 'dropped')]));
    socket.once('data', () => socket.end(frame(CLOSE)));
    flooded?.();
  });
  const both = new Promise((resolve) => {
    flooded = resolve;
  });
  const stream = new WebSocketStream(url);
  const { readable } = await stream.opened;
  await both;
  const reader = readable.getReader();
  assert.equal((await reader.read()).value, 'read');
  stream.close();
  assert.deepEqual(await reader.read(), { value: undefined, done: true });
  assert.equal((await stream.closed).closeCode, 1005);
});

test('pings are answered, also when nobody reads', async (t) => {
  let ponged;
  const { url } = await frameServer(t, (socket) => {
    ponged = once(socket, 'data');
    socket.write(frame(PING, 'data'));
  });
  const stream = new WebSocketStream(url);
  await stream.opened;
  const [pong] = frames((await ponged)[0]);
  assert.deepEqual([pong.first & 15, pong.payload.toString()], [PONG, 'data']);
  stream.close();
});

test('pipes to the end, both ways', async (t) => {
  const { stream, readable, writable } = await connected(t, (socket) => {
    socket.binaryType = 'nodebuffer';
    socket.addEventListener('message', ({ data }) => {
      socket.send(data);
      if (data === 'last') socket.close(1000);
    });
  });
  const sent = ['one', 'two', 'three', 'last'];
  const source = new ReadableStream({
    start(controller) {
      for (const text of sent) controller.enqueue(text);
      controller.close();
    },
  });
  const read = [];
  const sink = new WritableStream({ write: (text) => void read.push(text) });
  await Promise.all([source.pipeTo(writable, { preventClose: true }), readable.pipeTo(sink)]);
  assert.deepEqual(read, sent);
  assert.deepEqual(await stream.closed, { closeCode: 1000, reason: '' });
});

test('the getters and close() check their object', async () => {
  const { opened, closed, url } = Object.getOwnPropertyDescriptors(WebSocketStream.prototype);
  await assert.rejects(opened.get.call({}), TypeError);
  await assert.rejects(closed.get.call({}), TypeError);
  assert.throws(() => url.get.call({}), TypeError);
  assert.throws(() => WebSocketStream.prototype.close.call({}), TypeError);
});

test("a server's close() ends it with 1001", async (t) => {
  const { server, url } = await listening(t);
  const stream = new WebSocketStream(url);
  await Promise.all([stream.opened, next(server, 'connection')]);
  await server.close();
  assert.deepEqual(await stream.closed, { closeCode: 1001, reason: '' });
});
