// Frames that break the protocol or a limit fail that one connection. https://www.rfc-editor.org/rfc/rfc6455#section-5

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  all,
  BINARY,
  CLOSE,
  CONTINUATION,
  closeBody,
  closeCode,
  echo,
  FAILED,
  fragment,
  frame,
  frameClient,
  frameServer,
  heard,
  listening,
  next,
  PING,
  TEXT,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

/** What a client hears and sends when a server sends these bytes. */
async function failure(t, bytes, options) {
  let sent;
  const { url } = await frameServer(t, (socket) => {
    sent = all(socket);
    socket.write(bytes);
  });
  const events = await heard(new WebSocket(url, options)).closed;
  return { events, code: closeCode(await sent) };
}

const failed = (code) => ({ events: [['open'], ...FAILED], code });

test('broken frames: 1002', async (t) => {
  const cases = {
    'a masked frame': frame(TEXT, 'a', { mask: [1, 2, 3, 4] }),
    RSV1: frame(0xc1, 'a'),
    RSV2: frame(0xa2, 'a'),
    RSV3: frame(0x99, 'a'),
    'opcode 3': frame(3),
    'opcode 15': frame(15),
    'a fragmented ping': fragment(PING),
    'a ping of 126 bytes': frame(PING, 'x'.repeat(126)),
    'a continuation of nothing': frame(0x80, 'a'),
    'text within text': Buffer.concat([fragment(TEXT, 'a'), frame(TEXT, 'b')]),
    'a length that is not the shortest': Buffer.from([0x82, 126, 0, 1, 0]),
    'a length with the highest bit': Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]),
    'a Close of 1 byte': frame(CLOSE, 'a'),
  };
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]) {
    cases[`Close ${code}`] = frame(CLOSE, closeBody(code));
  }
  for (const [name, bytes] of Object.entries(cases)) {
    assert.deepEqual(await failure(t, bytes), failed(1002), name);
  }
});

test('text that is not UTF-8: 1007, as early as can be', async (t) => {
  const cases = {
    whole: frame(TEXT, Buffer.from([0xff])),
    surrogate: frame(TEXT, Buffer.from([0xed, 0xa0, 0x80])),
    overlong: frame(TEXT, Buffer.from([0xc0, 0xaf])),
    'over U+10FFFF': frame(TEXT, Buffer.from([0xf4, 0x90, 0x80, 0x80])),
    'cut at the end': frame(TEXT, Buffer.from([0xe2, 0x82])),
    'in a fragment that is not the last': fragment(TEXT, Buffer.from([0x61, 0xff])),
    'announced longer': Buffer.from([0x81, 100, 0x61, 0xc1]),
    'cut between fragments': Buffer.concat([fragment(TEXT, Buffer.from([0xe2])), frame(0x80, Buffer.from([0x41]))]),
    'in a Close reason': frame(CLOSE, Buffer.concat([closeBody(1000), Buffer.from([0xff])])),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    assert.deepEqual(await failure(t, bytes), failed(1007), name);
  }
});

test('a message over the limit: 1009 by its header', async (t) => {
  const options = { maxMessageSize: 1000 };
  assert.deepEqual(await failure(t, Buffer.from([0x82, 126, 3, 233]), options), failed(1009));
  const huge = Buffer.from([0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]);
  assert.deepEqual(await failure(t, huge), failed(1009), 'the limit that holds without options');
  const fragments = Buffer.concat([fragment(BINARY, Buffer.alloc(600)), Buffer.from([0x00, 126, 1, 145])]);
  assert.deepEqual(await failure(t, fragments, options), failed(1009));
  const { url } = await frameServer(t, (socket) => socket.write(frame(BINARY, Buffer.alloc(1000))));
  const socket = new WebSocket(url, options);
  await next(socket, 'message');
  socket.close();
});

test('a message of too many fragments: 1008', async (t) => {
  const empty = Buffer.concat([fragment(TEXT, ''), Buffer.alloc(2 * 131_073)]);
  assert.deepEqual(await failure(t, empty), failed(1008));
  const MOST = 131_072;
  const bytes = Buffer.concat([fragment(TEXT, 'a'), Buffer.alloc(3 * (MOST - 1), fragment(CONTINUATION, 'a'))]);
  assert.deepEqual(await failure(t, Buffer.concat([bytes, frame(CONTINUATION, 'a')])), failed(1008));
  bytes[bytes.length - 3] |= 0x80;
  const { url } = await frameServer(t, (socket) => socket.write(bytes));
  const socket = new WebSocket(url);
  assert.equal((await next(socket, 'message')).data, 'a'.repeat(MOST));
  socket.close();
});

test('frames without a mask at a server: 1002', async (t) => {
  const seen = [];
  const { port } = await listening(t, (socket) => {
    heard(socket).closed.then((events) => seen.push(events));
  });
  for (const bytes of [frame(TEXT, 'a'), frame(CLOSE), 'GET / HTTP/1.1\r\nHost: a\r\n\r\n']) {
    const client = await frameClient(t, port);
    client.write(bytes);
    client.end();
    assert.equal(closeCode(await all(client)), 1002);
  }
  assert.deepEqual(seen, [FAILED, FAILED, FAILED]);
});

test('a failure is that connection’s alone', async (t) => {
  const { url, port } = await listening(t, echo);
  const good = new WebSocket(url);
  await next(good, 'open');
  const bad = await frameClient(t, port);
  bad.write(frame(TEXT, 'no mask'));
  await all(bad);
  good.send('still here');
  assert.equal((await next(good, 'message')).data, 'still here');
  good.close();
});
