// What Node asks of our objects: util.inspect, Symbol.dispose and Symbol.asyncDispose.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import webwire from '../../index.js';
import { FAILED, heard, listening, next, tcpServer } from '../helpers/websocket-ends.mjs';

const { RTCPeerConnection, WebSocket, WebTransport } = webwire;

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
  for (const Class of [WebSocket, WebTransport, RTCPeerConnection]) {
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

test('a session that never was is disposed without an error', async () => {
  const session = new WebTransport('https://127.0.0.1:1/');
  session.ready.catch(() => {});
  assert.match(inspect(session), /^WebTransport \{\s*reliability: 'pending'/);
  await session[Symbol.asyncDispose]();
});
