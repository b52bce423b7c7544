// createWebSocketStream of `webwire/ws`.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { frame, frameServer, tcpServer } from '../helpers/websocket-ends.mjs';
import { echo, ours, serve, theirs } from '../helpers/ws.mjs';

const { WebSocket, createWebSocketStream } = ours;

test('what is written before the opening comes back, then the stream ends', async (t) => {
  const { url } = await serve(t, theirs, {}, echo);
  const stream = createWebSocketStream(new WebSocket(url), { encoding: 'utf8' });
  stream.write('one ');
  stream.write(Buffer.from('two'));
  let text = '';
  stream.on('data', (data) => {
    text += data;
    if (text === 'one two') stream.end();
  });
  await once(stream, 'close');
  assert.equal(text, 'one two');
  assert.equal(stream.destroyed, true);
});

test('with readableObjectMode text is a string', async (t) => {
  const { url } = await serve(t, theirs, {}, (socket) => {
    socket.send('text');
    socket.send(Buffer.from('bytes'));
    socket.close();
  });
  const received = [];
  for await (const chunk of createWebSocketStream(new WebSocket(url), { readableObjectMode: true }))
    received.push(chunk);
  assert.deepEqual(received, ['text', Buffer.from('bytes')]);
});

test('an end pauses the peer: what nobody reads stays with it', async (t) => {
  const chunk = Buffer.alloc(1 << 20);
  const total = 64;
  const { url, server } = await serve(t, theirs, {}, async (socket) => {
    for (let index = 0; index < total; index++) {
      await new Promise((resolve) => socket.send(chunk, resolve));
    }
    socket.close();
  });
  const socket = new WebSocket(url);
  const stream = createWebSocketStream(socket);
  await once(stream, 'readable');
  assert.equal(socket.isPaused, true);
  // More than the buffers of both ends take: the peer has to wait with the rest.
  const [peer] = server.clients;
  assert.ok(peer.bufferedAmount > 0);
  let length = 0;
  for await (const data of stream) length += data.length;
  assert.equal(length, total * chunk.length);
});

test('writes are done at once until 64 KiB wait, then as the peer takes them', async (t) => {
  const { url, server } = await serve(t, theirs, {}, (peer) => peer.pause());
  const socket = new WebSocket(url);
  const stream = createWebSocketStream(socket);
  await once(socket, 'open');
  const chunk = Buffer.alloc(1000, 1);
  let written = 0;
  let done = 0;
  const write = () => {
    written += 1;
    return stream.write(chunk, () => {
      done += 1;
    });
  };
  for (let index = 0; index < 60; index++) assert.equal(write(), true);
  await new Promise((resolve) => process.nextTick(resolve));
  assert.equal(done, written);
  // What the system holds of it differs; the rest waits here.
  while (write()) await new Promise(setImmediate);
  assert.ok(done < written);
  assert.ok(socket.bufferedAmount >= 64 << 10 && socket.bufferedAmount < (64 << 10) + 2 * chunk.length);
  const [peer] = server.clients;
  let received = 0;
  peer.on('message', (data) => {
    received += data.length;
  });
  const closed = once(peer, 'close');
  peer.resume();
  stream.end();
  await closed;
  assert.equal(received, written * chunk.length);
});

test('what is still to be sent when the connection ends is the error of the stream', async (t) => {
  const { url } = await serve(t, theirs);
  const socket = new WebSocket(url);
  const stream = createWebSocketStream(socket);
  await once(socket, 'open');
  stream.write('this leaves at once');
  stream.write('this one would with those behind it');
  socket.terminate();
  await assert.rejects(finished(stream), { message: 'The connection was closed before all was written' });
});

test('a pipeline through an echo', async (t) => {
  const { url } = await serve(t, theirs, {}, echo);
  const stream = createWebSocketStream(new WebSocket(url));
  const size = 5 << 20;
  let length = 0;
  const source = Readable.from(
    (function* () {
      for (let sent = 0; sent < size; sent += 64 << 10) yield Buffer.alloc(64 << 10, 1);
    })(),
  );
  await pipeline(source, stream, async (readable) => {
    for await (const data of readable) length += data.length;
  });
  assert.equal(length, size);
});

test('destroy() terminates, and tells its error', async (t) => {
  const { url, server } = await serve(t, theirs);
  const socket = new WebSocket(url);
  const stream = createWebSocketStream(socket);
  await once(socket, 'open');
  const [peer] = server.clients;
  const there = once(peer, 'close');
  const failed = new Promise((resolve) => stream.on('error', resolve));
  const closed = new Promise((resolve) => stream.on('close', resolve));
  stream.destroy(new Error('enough'));
  assert.equal((await failed).message, 'enough');
  await closed;
  assert.equal(socket.readyState, WebSocket.CLOSED);
  assert.equal((await there)[0], 1006);
});

test('destroy() before the opening needs no listener', async (t) => {
  const { url } = await tcpServer(t, () => {});
  const socket = new WebSocket(url);
  const stream = createWebSocketStream(socket);
  stream.on('error', () => {});
  stream.destroy();
  await once(stream, 'close');
  assert.equal(socket.readyState, WebSocket.CLOSED);
});

test('a fault of the peer is the error of the stream', async (t) => {
  const { url } = await frameServer(t, (peer) => peer.write(frame(1, [0xff])));
  const stream = createWebSocketStream(new WebSocket(url));
  const error = await new Promise((resolve) => stream.on('error', resolve));
  assert.equal(error.code, 'WS_ERR_INVALID_UTF8');
});
