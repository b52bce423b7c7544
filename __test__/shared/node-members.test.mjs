// What Node asks of our objects: util.inspect, Symbol.dispose and Symbol.asyncDispose.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import { FAILED, heard, isWebSocketError, listening, next, reasonOf, tcpServer } from '../helpers/websocket-ends.mjs';

const { RTCPeerConnection, WebSocket, WebSocketServer, WebSocketStream, WebTransport, WebTransportServer } = webwire;

test('a WebSocket is shown with its state', async (t) => {
  const { url } = await listening(t, () => {});
  const socket = new WebSocket(url);
  assert.match(inspect(socket), /^WebSocket \{\s+url: 'ws:.*',\s+readyState: 'CONNECTING',\s+protocol: '',/);
  await next(socket, 'open');
  assert.match(inspect(socket), /readyState: 'OPEN'/);
  assert.equal(inspect({ a: { b: { c: { socket } } } }, { breakLength: Infinity }), '{ a: { b: { c: [Object] } } }');
  assert.equal(inspect({ socket }, { depth: 0 }), '{ socket: [WebSocket] }');
  class Own extends WebSocket {}
  const own = new Own(url);
  assert.match(inspect(own), /^Own \{/);
  own.close();
  socket.close();
});

test('the other objects, and what only looks like one', () => {
  const connection = new RTCPeerConnection();
  assert.match(inspect(connection), /^RTCPeerConnection \{\s+signalingState: 'stable',\s+connectionState: 'new',/);
  connection.close();
  for (const Class of [WebSocket, WebSocketStream, WebSocketServer, WebTransport, RTCPeerConnection]) {
    assert.equal(inspect(Object.create(Class.prototype)), `${Class.name} {}`);
    for (const key of [inspect.custom, Symbol.dispose, Symbol.asyncDispose]) {
      assert.equal(Object.getOwnPropertyDescriptor(Class.prototype, key).enumerable, false);
    }
  }
});

test('dispose closes, asyncDispose waits for the end', async (t) => {
  const { url } = await listening(t, () => {});
  const socket = new WebSocket(url);
  await next(socket, 'open');
  await socket[Symbol.asyncDispose]();
  assert.equal(socket.readyState, WebSocket.CLOSED);
  await socket[Symbol.asyncDispose]();
  const silent = await tcpServer(t, () => {});
  const connecting = new WebSocket(silent.url);
  const { closed } = heard(connecting);
  assert.equal(connecting[Symbol.dispose](), undefined);
  assert.deepEqual(await closed, FAILED);
  const connection = new RTCPeerConnection();
  await connection[Symbol.asyncDispose]();
  assert.equal(connection.signalingState, 'closed');
});

test('a WebSocketStream is shown with its state, and disposed', async (t) => {
  const { url } = await listening(t, () => {});
  const stream = new WebSocketStream(url);
  assert.match(inspect(stream), /^WebSocketStream \{\s+url: 'ws:.*',\s+readyState: 'CONNECTING',\s+bufferedAmount: 0/);
  await stream.opened;
  assert.match(inspect(stream), /readyState: 'OPEN'/);
  assert.equal(inspect({ stream }, { depth: 0 }), '{ stream: [WebSocketStream] }');
  await stream[Symbol.asyncDispose]();
  assert.match(inspect(stream), /readyState: 'CLOSED'/);
  assert.deepEqual(await stream.closed, { closeCode: 1005, reason: '' });
  await stream[Symbol.asyncDispose]();
  // It never opens: who disposes of it does not have to hear of that, who asks does.
  const silent = await tcpServer(t, () => {});
  for (const dispose of [Symbol.dispose, Symbol.asyncDispose]) {
    const connecting = new WebSocketStream(silent.url);
    assert.equal(await connecting[dispose](), undefined);
    isWebSocketError(await reasonOf(connecting.closed), 1006);
  }
  await assert.rejects(WebSocketStream.prototype[Symbol.asyncDispose](), TypeError);
});

test('servers are disposed', async () => {
  const { cert, key } = createCertificate();
  for (const Server of [WebSocketServer, WebTransportServer]) {
    const server = () => new Server({ host: '127.0.0.1', cert, key });
    const waits = server();
    await waits.ready;
    assert.equal(await waits[Symbol.asyncDispose](), undefined);
    assert.match(inspect(waits), /state: 'closed'/);
    const goes = server();
    await goes.ready;
    const { port } = goes.address();
    assert.equal(goes[Symbol.dispose](), undefined);
    assert.match(inspect(goes), /state: 'closing'/);
    await goes.close();
    // The port is free.
    const again = new Server({ host: '127.0.0.1', port, cert, key });
    await again.ready;
    await again.close();
    for (const symbol of [Symbol.dispose, Symbol.asyncDispose, Symbol.asyncIterator, inspect.custom]) {
      assert.equal(Object.getOwnPropertyDescriptor(Server.prototype, symbol).enumerable, false);
    }
  }
});

test('a WebTransportServer is an async iterable of its requests', async (t) => {
  const { cert, key, hash } = createCertificate();
  const server = new WebTransportServer({ host: '127.0.0.1', cert, key });
  t.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const session = new WebTransport(`https://127.0.0.1:${server.address().port}/path`, {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
  });
  for await (const request of server) {
    assert.match(request.url, /\/path$/);
    await request.accept();
    break;
  }
  await session.ready;
  const rest = (async () => {
    for await (const request of server) assert.fail(request.url);
  })();
  session.close();
  await server.close();
  await rest;
});

/** Both ends of an established session. */
async function openSession(t) {
  const { cert, key, hash } = createCertificate();
  const server = new WebTransportServer({ host: '127.0.0.1', cert, key });
  t.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const connected = next(server, 'connection');
  const near = new WebTransport(`https://127.0.0.1:${server.address().port}/`, {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
  });
  const { socket: far } = await connected;
  await near.ready;
  return { near, far };
}

for (const end of ['near', 'far']) {
  test(`an established session is disposed at its ${end} end, with what is open`, async (t) => {
    const CLOSED = { closeCode: 0, reason: '' };
    const first = await openSession(t);
    const other = end === 'near' ? 'far' : 'near';
    const stream = await first[other].createUnidirectionalStream();
    assert.equal(first[end][Symbol.dispose](), undefined);
    assert.deepEqual(await first[other].closed, CLOSED);
    await assert.rejects(stream.getWriter().closed, { name: 'WebTransportError', source: 'session' });
    assert.equal(first[end][Symbol.dispose](), undefined);
    const second = await openSession(t);
    assert.equal(await second[end][Symbol.asyncDispose](), undefined);
    assert.deepEqual(await second[end].closed, CLOSED);
    await assert.rejects(second[end].createBidirectionalStream(), { name: 'InvalidStateError' });
    assert.deepEqual(await second[other].closed, CLOSED);
    // Over by itself, it is disposed all the same.
    await second[other][Symbol.asyncDispose]();
  });
}

test('a session that never was is disposed without an error', async () => {
  const session = new WebTransport('https://127.0.0.1:1/');
  session.ready.catch(() => {});
  assert.match(inspect(session), /^WebTransport \{\s*reliability: 'pending'/);
  await session[Symbol.asyncDispose]();
});
