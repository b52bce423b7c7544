// WebSocketStream's back-pressure, both ways. https://whatpr.org/websockets/48.html#stream-operations
//
// That something does not happen is seen by what would have happened after it: as much data over another connection.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import {
  all,
  BINARY,
  CLOSE,
  closeBody,
  frame,
  frameServer,
  frames,
  isWebSocketError,
  opening,
  readUntil,
  reasonOf,
  tcpServer,
  WebSocketError,
  WebSocketStream,
} from '../helpers/websocket-ends.mjs';

const CHUNK = 64 * 1024;
const MESSAGES = 1024;
const FLOOD = CHUNK * MESSAGES;

/** Sends 64 MiB in messages, then a Close frame, and answers to nothing. */
async function floodServer(t) {
  const sockets = [];
  const message = frame(BINARY, Buffer.alloc(CHUNK, 'x'));
  const { url } = await frameServer(t, (socket) => {
    sockets.push(socket);
    for (let count = 0; count < MESSAGES; count += 1) socket.write(message);
    socket.write(frame(CLOSE, closeBody(1000)));
    socket.on('data', () => socket.end());
  });
  return { url, sockets };
}

/** Reads to the end; resolves to the number of bytes. */
async function readAll(readable) {
  let bytes = 0;
  for await (const chunk of readable) bytes += chunk.length;
  return bytes;
}

test('what nobody reads stays with the peer, and nothing is lost', async (t) => {
  const { url, sockets } = await floodServer(t);
  const unread = new WebSocketStream(url);
  const { readable } = await unread.opened;
  const read = new WebSocketStream(url);
  assert.equal(await readAll((await read.opened).readable), FLOOD);
  assert.ok(sockets[0].writableLength > FLOOD / 2, `${sockets[0].writableLength} bytes wait`);
  // One read takes one message, not all.
  const reader = readable.getReader();
  assert.equal((await reader.read()).value.length, CHUNK);
  reader.releaseLock();
  const again = new WebSocketStream(url);
  assert.equal(await readAll((await again.opened).readable), FLOOD);
  assert.ok(sockets[0].writableLength > FLOOD / 2, `${sockets[0].writableLength} bytes wait`);
  assert.equal(await readAll(readable), FLOOD - CHUNK);
  assert.deepEqual(await unread.closed, { closeCode: 1000, reason: '' });
});

test('a stream that is closed while nobody reads closes cleanly', async (t) => {
  const { url, sockets } = await floodServer(t);
  const unread = new WebSocketStream(url);
  await unread.opened;
  const read = new WebSocketStream(url);
  await readAll((await read.opened).readable);
  assert.ok(sockets[0].writableLength > 0);
  unread.close();
  // The flood is passed over up to the peer's Close frame.
  assert.deepEqual(await unread.closed, { closeCode: 1000, reason: '' });
});

/** A server that reads nothing until it is told to. */
async function unreadingServer(t) {
  const sockets = [];
  const { url } = await frameServer(t, (socket) => {
    sockets.push(socket);
    socket.pause();
  });
  return { url, sockets };
}

/** Sends and reads as much as a flood over a connection of its own. */
async function transfer(t) {
  const { url } = await frameServer(t, (socket) => socket.resume());
  const stream = new WebSocketStream(url);
  const writer = (await stream.opened).writable.getWriter();
  const chunk = new Uint8Array(CHUNK);
  for (let count = 0; count < MESSAGES; count += 1) await writer.write(chunk);
}

test('a write waits until the network has taken it', async (t) => {
  const { url, sockets } = await unreadingServer(t);
  const stream = new WebSocketStream(url);
  const { writable } = await stream.opened;
  const writer = writable.getWriter();
  let isTaken = false;
  const written = writer.write(new Uint8Array(FLOOD)).then(() => {
    isTaken = true;
  });
  assert.equal(writer.desiredSize, 0);
  await transfer(t);
  assert.equal(isTaken, false);
  sockets[0].resume();
  await written;
  await writer.ready;
});

test('writes of small messages are held back as well', async (t) => {
  const { url, sockets } = await unreadingServer(t);
  const stream = new WebSocketStream(url);
  const { writable } = await stream.opened;
  const writer = writable.getWriter();
  let count = 0;
  const write = async () => {
    for (; count < FLOOD / 1024; count += 1) await writer.write('x'.repeat(1024));
  };
  const written = write();
  await transfer(t);
  assert.ok(count < FLOOD / 1024, `${count} are taken`);
  sockets[0].resume();
  await written;
});

test('an abort does not wait for a write that is held back', async (t) => {
  const { url, sockets } = await unreadingServer(t);
  const stream = new WebSocketStream(url);
  const { writable } = await stream.opened;
  const writer = writable.getWriter();
  const written = writer.write(new Uint8Array(FLOOD));
  const reason = new WebSocketError('', { closeCode: 4321, reason: 'enough' });
  await writer.abort(reason);
  await assert.rejects(written, (error) => error === reason);
  const [socket] = sockets;
  const received = all(socket);
  let bytes = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes > FLOOD + 14 && socket.writable) socket.end(frame(CLOSE, closeBody(4321)));
  });
  socket.resume();
  assert.deepEqual(await stream.closed, { closeCode: 4321, reason: '' });
  const [message, close] = frames(await received);
  assert.equal(message.payload.length, FLOOD);
  assert.deepEqual(close.payload, closeBody(4321, 'enough'));
});

test("a write that waits at the peer's Close frame fails, with its code", async (t) => {
  const { url, sockets } = await unreadingServer(t);
  const stream = new WebSocketStream(url);
  const { writable, readable } = await stream.opened;
  const written = writable.getWriter().write(new Uint8Array(FLOOD));
  written.catch(() => {});
  const [socket] = sockets;
  socket.write(frame(CLOSE, closeBody(4567, 'away')));
  let bytes = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes > FLOOD + 14) socket.end();
  });
  socket.resume();
  const error = await stream.closed.then(assert.fail, (reason) => reason);
  assert.ok(error instanceof WebSocketError);
  assert.deepEqual([error.closeCode, error.reason], [4567, 'away']);
  await assert.rejects(written, (reason) => reason === error);
  await assert.rejects(readable.getReader().read(), (reason) => reason === error);
});

test("a peer's Close frame is seen while a long message is compressed", async (t) => {
  // Small on the wire, and a matter of half a second to compress.
  const data = randomBytes(8 << 20).map((byte) => 0x61 + (byte & 1));
  let peer;
  const { url } = await tcpServer(t, async (socket) => {
    socket.write(opening(await readUntil(socket, '\r\n\r\n'), ['Sec-WebSocket-Extensions: permessage-deflate']));
    socket.resume();
    peer = socket;
  });
  const stream = new WebSocketStream(url);
  const { writable } = await stream.opened;
  const written = reasonOf(writable.getWriter().write(data));
  peer.write(frame(CLOSE, closeBody(4567)));
  isWebSocketError(await reasonOf(stream.closed), 4567);
  isWebSocketError(await written, 4567);
});

test('the end of a peer that nobody reads from is noticed by writing', async (t) => {
  const { url, sockets } = await floodServer(t);
  const stream = new WebSocketStream(url);
  const { writable } = await stream.opened;
  await readAll((await new WebSocketStream(url).opened).readable);
  const [socket] = sockets;
  socket.resetAndDestroy();
  await once(socket, 'close');
  const writer = writable.getWriter();
  const write = async () => {
    for (;;) await writer.write(new Uint8Array(CHUNK));
  };
  await assert.rejects(write(), WebSocketError);
  await assert.rejects(stream.closed, WebSocketError);
});
