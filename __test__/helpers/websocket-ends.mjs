// Both ends of a WebSocket for tests: webwire's classes, and raw TCP ends that send what no implementation would.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import webwire from '../../index.js';

export const { CloseEvent, WebSocket, WebSocketError, WebSocketServer, WebSocketStream } = webwire;

/** The next event of this type. */
export function next(target, type) {
  return new Promise((resolve) => target.addEventListener(type, resolve, { once: true }));
}

/** Everything that a socket's script hears, in order: `['open'], ['message', data], ['error'], ['close', code, …]`. */
export function heard(socket) {
  const events = [];
  socket.addEventListener('open', () => events.push(['open']));
  socket.addEventListener('message', ({ data }) => events.push(['message', data]));
  socket.addEventListener('error', () => events.push(['error']));
  const closed = new Promise((resolve) => {
    socket.addEventListener('close', ({ code, reason, wasClean }) => {
      events.push(['close', code, reason, wasClean]);
      resolve(events);
    });
  });
  return { events, closed };
}

/** What a failed connection looks like to its script. */
export const FAILED = [['error'], ['close', 1006, '', false]];

/** The value of `Sec-WebSocket-Accept` for a key. */
export function acceptKey(key) {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** One frame. `first` is its first byte, or an opcode of a final frame. */
export function frame(first, payload = '', { mask } = {}) {
  const data = Buffer.from(payload);
  const head = [first < 0x10 ? first | 0x80 : first];
  const masked = mask ? 0x80 : 0;
  if (data.length < 126) head.push(masked | data.length);
  else if (data.length < 65_536) head.push(masked | 126, data.length >> 8, data.length & 255);
  else {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(data.length));
    head.push(masked | 127, ...length);
  }
  if (!mask) return Buffer.concat([Buffer.from(head), data]);
  return Buffer.concat([Buffer.from([...head, ...mask]), data.map((byte, index) => byte ^ mask[index & 3])]);
}

/** A frame that is not the last of its message. */
export function fragment(opcode, payload = '', options) {
  const bytes = frame(opcode, payload, options);
  bytes[0] &= 0x7f;
  return bytes;
}

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** The body of a Close frame. */
export function closeBody(code, reason = '') {
  return Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
}

/** The frames in these bytes, unmasked: `[{ first, payload }]`. The last may not be whole: then it is left out. */
export function frames(bytes) {
  const found = [];
  let at = 0;
  while (at + 2 <= bytes.length) {
    const first = bytes[at];
    const masked = (bytes[at + 1] & 0x80) !== 0;
    let length = bytes[at + 1] & 0x7f;
    at += 2;
    if (length === 126) {
      length = bytes.readUInt16BE(at);
      at += 2;
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at));
      at += 8;
    }
    const mask = masked ? bytes.subarray(at, at + 4) : undefined;
    at += masked ? 4 : 0;
    if (at + length > bytes.length) break;
    const payload = Buffer.from(bytes.subarray(at, at + length));
    found.push({ first, masked, payload: mask ? payload.map((byte, index) => byte ^ mask[index & 3]) : payload });
    at += length;
  }
  return found;
}

/** The code of the Close frame among these frames. */
export function closeCode(bytes) {
  const close = frames(bytes).find(({ first }) => first === 0x88);
  return close && close.payload.length >= 2 ? close.payload.readUInt16BE(0) : undefined;
}

/** Everything that the peer sends on a TCP socket, until its end. */
export async function all(socket) {
  const chunks = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks);
}

/** Reads from a TCP socket up to and with `end`. What follows stays in the socket. */
export async function readUntil(socket, end) {
  let text = Buffer.alloc(0);
  for (;;) {
    const chunk = socket.read();
    if (chunk === null) {
      await Promise.race([
        once(socket, 'readable'),
        once(socket, 'end').then(() => Promise.reject(new Error('ended'))),
      ]);
      continue;
    }
    text = Buffer.concat([text, chunk]);
    const index = text.indexOf(end);
    if (index !== -1) {
      const rest = text.subarray(index + end.length);
      if (rest.length > 0) socket.unshift(rest);
      return text.subarray(0, index + end.length).toString('latin1');
    }
  }
}

/** A TCP server, or one at `{ path }`. `serve(socket, number)` gets each connection; `url` is where a WebSocket finds it. */
export async function tcpServer(t, serve, at = { port: 0, host: '127.0.0.1' }) {
  const sockets = new Set();
  let number = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket, number++);
  });
  server.listen(at);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address();
  return { port, url: `ws://127.0.0.1:${port}/`, server, connections: () => number };
}

/** The response that opens a connection, for the request with this head; `lines` replace ours or are added. */
export function opening(head, extra = []) {
  const key = /^sec-websocket-key: (.*)\r$/im.exec(head)?.[1] ?? '';
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${acceptKey(key)}`, ...extra];
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
}

/** A server of raw frames: opens every connection and gives it to `serve(socket)`. */
export function frameServer(t, serve) {
  return tcpServer(t, async (socket) => {
    socket.write(opening(await readUntil(socket, '\r\n\r\n')));
    serve(socket);
  });
}

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** A request that a server accepts; `lines` are added. */
export function request(port, extra = []) {
  const lines = [
    `Host: 127.0.0.1:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${KEY}`,
    ...extra,
  ];
  return `GET / HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
}

/** A raw TCP client. */
export async function tcpClient(t, port) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** A raw client whose connection is open. `headers` are added to its request. */
export async function frameClient(t, port, headers = []) {
  const socket = await tcpClient(t, port);
  socket.write(request(port, headers));
  await readUntil(socket, '\r\n\r\n');
  return socket;
}

/** A WebSocketServer that listens, with nothing that accepts. */
export async function idleServer(t, options = {}) {
  const server = new WebSocketServer({ host: '127.0.0.1', ...options });
  t.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const { port } = server.address();
  return { server, port, url: `${options.cert ? 'wss' : 'ws'}://127.0.0.1:${port}/` };
}

/** The same, but all sockets are accepted by `connected(socket, request)`. */
export async function listening(t, connected = () => {}, options = {}) {
  const { server, ...at } = await idleServer(t, options);
  server.addEventListener('connection', ({ socket, request }) => connected(socket, request));
  return { server, ...at };
}

/** Fifty round trips of a connection of its own: what another one would do in that time it has done. */
export async function roundTrips(t) {
  const socket = new WebSocket((await listening(t, echo)).url);
  await next(socket, 'open');
  for (let count = 0; count < 50; count += 1) {
    socket.send('there and back');
    await next(socket, 'message');
  }
  socket.close();
}

/** Sends back whatever comes. */
export function echo(socket) {
  socket.binaryType = 'nodebuffer';
  socket.addEventListener('message', ({ data }) => socket.send(data));
}

/** A stream that a server of webwire has accepted. */
export async function connected(t, accepted = echo, options = {}) {
  const { url } = await listening(t, accepted);
  const stream = new WebSocketStream(url, options);
  return { stream, ...(await stream.opened) };
}

/** What a promise rejects with. */
export const reasonOf = (promise) =>
  promise.then(
    () => assert.fail('it was fulfilled'),
    (reason) => reason,
  );

/** Asserts that it is one, with these members. */
export function isWebSocketError(error, closeCode, reason = '') {
  assert.ok(error instanceof WebSocketError && error instanceof DOMException);
  assert.deepEqual([error.name, error.closeCode, error.reason], ['WebSocketError', closeCode, reason]);
}

/** The error that the operator hears of a connection that must fail. */
export async function failure(t, url, options) {
  const errors = new Map();
  const listener = ({ websocket, error }) => errors.set(websocket, error);
  subscribe('webwire:websocket:error', listener);
  t.after(() => unsubscribe('webwire:websocket:error', listener));
  const socket = new WebSocket(url, options);
  assert.deepEqual(await heard(socket).closed, FAILED);
  return errors.get(socket);
}
