// The option `signal`: it fails a connection that is being established, and nothing else.

import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { test } from 'node:test';
import { FAILED, frameServer, heard, next, tcpServer, WebSocket } from '../helpers/websocket-ends.mjs';

test('aborted before: nothing is dialled', async (t) => {
  const { url, connections } = await tcpServer(t, (socket) => socket.destroy());
  const socket = new WebSocket(url, { signal: AbortSignal.abort() });
  assert.equal(socket.readyState, WebSocket.CONNECTING);
  assert.deepEqual(await heard(socket).closed, FAILED);
  await next(new WebSocket(url), 'close');
  assert.equal(connections(), 1);
});

test('aborted while connecting: it fails at once, and the server sees the end', async (t) => {
  const { server, url } = await tcpServer(t, (socket) => socket.resume());
  const connected = once(server, 'connection');
  const controller = new AbortController();
  const socket = new WebSocket(url, { signal: controller.signal });
  const { closed } = heard(socket);
  const [peer] = await connected;
  controller.abort();
  assert.equal(socket.readyState, WebSocket.CLOSING);
  assert.deepEqual(await closed, FAILED);
  if (!peer.closed) await once(peer, 'close');
  assert.deepEqual(getEventListeners(controller.signal, 'abort'), []);
});

test('aborted when open: no effect, and no listener is left', async (t) => {
  const { url } = await frameServer(t, (socket) => socket.pipe(socket));
  const controller = new AbortController();
  const socket = new WebSocket(url, { signal: controller.signal });
  assert.equal(getEventListeners(controller.signal, 'abort').length, 1);
  await next(socket, 'open');
  assert.deepEqual(getEventListeners(controller.signal, 'abort'), []);
  controller.abort();
  assert.equal(socket.readyState, WebSocket.OPEN);
  socket.close();
});

test('AbortSignal.timeout', async (t) => {
  const { url } = await tcpServer(t, () => {});
  assert.deepEqual(await heard(new WebSocket(url, { signal: AbortSignal.timeout(20) })).closed, FAILED);
});

test('null is no signal', async (t) => {
  const { url } = await frameServer(t, () => {});
  const socket = new WebSocket(url, { signal: null, lookup: null, localAddress: null });
  await next(socket, 'open');
  socket.close();
});
