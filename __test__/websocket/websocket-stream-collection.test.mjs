// What keeps a WebSocketStream from being collected although no script holds it: a promise that somebody waits for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collect } from '../helpers/garbage.mjs';
import { CLOSE, frame, frameServer, TEXT, WebSocketStream } from '../helpers/websocket-ends.mjs';

/** Begins something with a new stream and keeps nothing but what it returns. */
async function begin(url, what) {
  const stream = new WebSocketStream(url);
  const { readable, writable } = await stream.opened;
  return what(stream, readable, writable);
}

for (const [what, start, go] of [
  ['read', (_stream, readable) => readable.getReader().read(), (socket) => socket.write(frame(TEXT, 'text'))],
  [
    'write',
    (_stream, _readable, writable) => writable.getWriter().write(new Uint8Array(32 << 20)),
    (socket) => socket.resume(),
  ],
  ['closed', (stream) => stream.closed, (socket) => socket.end(frame(CLOSE))],
]) {
  test(`a promise that is waited for: ${what}`, async (t) => {
    const sockets = [];
    const { url } = await frameServer(t, (socket) => {
      socket.pause();
      sockets.push(socket);
    });
    let isHeard = false;
    const heard = new Promise((resolve) => {
      begin(url, (...given) => {
        start(...given).then(() => {
          isHeard = true;
          resolve();
        });
      });
    });
    while (sockets.length === 0) await new Promise(setImmediate);
    await collect();
    assert.equal(isHeard, false);
    go(sockets[0]);
    await heard;
  });
}

test('the reader alone holds the connection', async (t) => {
  const sockets = [];
  const { url } = await frameServer(t, (socket) => sockets.push(socket));
  const reader = await begin(url, (_stream, readable) => readable.getReader());
  await collect();
  sockets[0].end(frame(TEXT, 'read'));
  assert.equal((await reader.read()).value, 'read');
});
