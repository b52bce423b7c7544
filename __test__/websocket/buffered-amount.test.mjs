// bufferedAmount counts what was sent and not yet taken by the network.
// https://websockets.spec.whatwg.org/#dom-websocket-bufferedamount

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as task } from 'node:timers/promises';
import { all, echo, frameServer, frames, listening, next, WebSocket } from '../helpers/websocket-ends.mjs';

/** Waits, task by task, until all is taken. */
async function drained(socket) {
  while (socket.bufferedAmount > 0) await task();
}

test('it grows at once by UTF-8 bytes, falls between tasks only, and ends at 0', async (t) => {
  const { url } = await listening(t, echo);
  const socket = new WebSocket(url);
  assert.equal(socket.bufferedAmount, 0);
  await next(socket, 'open');
  let expected = 0;
  const send = (data, bytes) => {
    socket.send(data);
    expected += bytes;
    assert.equal(socket.bufferedAmount, expected);
  };
  send('', 0);
  send('abc', 3);
  send('é🎉', 6);
  send(new Uint8Array(1000), 1000);
  send('x'.repeat(50_000), 50_000);
  send(new Blob(['blob', 'é']), 6);
  send('behind the blob', 15);
  send(new Uint8Array(100_000), 100_000);
  for (let i = 0; i < 5000; i += 1) send('many', 4);
  await Promise.resolve();
  assert.equal(socket.bufferedAmount, expected);
  await drained(socket);
  assert.equal(socket.bufferedAmount, 0);
  socket.close();
});

test('a peer that does not read keeps it up, and all arrives when it reads', async (t) => {
  let peer;
  const { url } = await frameServer(t, (socket) => {
    peer = socket;
  });
  const socket = new WebSocket(url);
  await next(socket, 'open');
  const chunk = Buffer.alloc(1 << 20, 'abc');
  for (let i = 0; i < 32; i += 1) socket.send(chunk);
  for (let i = 0; i < 1000; i += 1) socket.send(`message ${i}`);
  const before = socket.bufferedAmount;
  assert.equal(before, 32 * chunk.length + 890 + 1000 * 'message '.length + 2000);
  const bytes = all(peer);
  await drained(socket);
  socket.close();
  peer.end();
  const list = frames(await bytes);
  assert.ok(list.slice(0, 32).every(({ payload }) => payload.equals(chunk)));
  assert.deepEqual(
    list.slice(32, 1032).map(({ payload }) => payload.toString()),
    Array.from({ length: 1000 }, (_, i) => `message ${i}`),
  );
});

test('after close() it grows by what is not sent, and never falls', async (t) => {
  const { url } = await listening(t, echo);
  const socket = new WebSocket(url);
  await next(socket, 'open');
  socket.close();
  socket.send('abc');
  assert.equal(socket.bufferedAmount, 3);
  socket.send(new Uint8Array(7));
  socket.send(new Blob(['12']));
  assert.equal(socket.bufferedAmount, 12);
  await next(socket, 'close');
  assert.equal(socket.bufferedAmount, 12);
  socket.send('é');
  assert.equal(socket.bufferedAmount, 14);
  await task();
  assert.equal(socket.bufferedAmount, 14);
  // Memory that is never touched, so that it costs none.
  const long = new ArrayBuffer(2 ** 31 + 1);
  socket.send(new DataView(long, 1));
  assert.equal(socket.bufferedAmount, 14 + 2 ** 31);
  socket.send(long);
  assert.equal(socket.bufferedAmount, 15 + 2 ** 32);
});

test('what was queued before close() is sent before the Close frame', async (t) => {
  let received = 0;
  const { url } = await listening(t, (socket) => {
    socket.binaryType = 'nodebuffer';
    socket.onmessage = ({ data }) => {
      received += data.length;
    };
  });
  const socket = new WebSocket(url);
  await next(socket, 'open');
  const chunk = Buffer.alloc(4 << 20);
  for (let i = 0; i < 25; i += 1) socket.send(chunk);
  socket.send(new Blob(['end']));
  socket.close(1000);
  const { code, wasClean } = await next(socket, 'close');
  assert.deepEqual([code, wasClean], [1000, true]);
  assert.equal(received, 25 * chunk.length + 3);
  assert.equal(socket.bufferedAmount, 0);
});

test('what came back is not counted any more', async (t) => {
  const { url } = await listening(t, echo);
  const socket = new WebSocket(url);
  await next(socket, 'open');
  const counted = [];
  await new Promise((resolve) => {
    let count = 0;
    socket.onmessage = () => {
      counted.push(socket.bufferedAmount);
      count += 1;
      if (count === 1000) resolve();
      else socket.send('x');
    };
    socket.send('x');
  });
  assert.deepEqual([...new Set(counted)], [0]);
  socket.close();
});
