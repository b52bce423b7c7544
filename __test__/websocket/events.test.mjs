// The events of a WebSocket as objects: whose word they are. https://dom.spec.whatwg.org/#dom-event-istrusted

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listening, next, tcpServer, WebSocket } from '../helpers/websocket-ends.mjs';

test('what the network says is trusted, and what a script says is not', async (t) => {
  const connections = [];
  const { url, server } = await listening(t, (socket) => {
    socket.send('hello');
    socket.ping();
  });
  server.addEventListener('connection', (event) => connections.push(event));
  const socket = new WebSocket(url);
  const events = ['open', 'message', 'ping', 'close'].map((type) => next(socket, type));
  await events[2];
  socket.close();
  const refused = new WebSocket((await tcpServer(t, (raw) => raw.destroy())).url);
  const heard = await Promise.all([...events, next(refused, 'error'), next(refused, 'close')]);
  for (const event of [...heard, ...connections]) assert.equal(event.isTrusted, true, event.type);
  for (const event of [heard[0], heard[3]]) {
    const { enumerable, configurable, set } = Object.getOwnPropertyDescriptor(event, 'isTrusted');
    assert.deepEqual([enumerable, configurable, set], [true, false, undefined]);
  }
  const own = next(socket, 'open');
  socket.dispatchEvent(new Event('open'));
  assert.equal((await own).isTrusted, false);
});
