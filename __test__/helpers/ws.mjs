// Both ends of a WebSocket of `ws`'s interface for tests: ours, and that of `ws` itself.

import { once } from 'node:events';
import * as ours from 'webwire/ws';
import * as theirs from 'ws';

export { ours, theirs };

/** A WebSocketServer of `implementation` on a free port; `url` is where to find it. */
export async function serve(t, { WebSocketServer }, options = {}, connected = () => {}) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options });
  server.on('connection', connected);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of server.clients ?? []) socket.terminate();
    server.close();
  });
  return { server, url: `ws://127.0.0.1:${server.address().port}/` };
}

/** Sends back whatever comes. */
export function echo(socket) {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
}

/** Everything that a socket emits, in order, until it is closed. */
export function emitted(socket) {
  const events = [];
  for (const type of ['open', 'ping', 'pong', 'error']) socket.on(type, (...args) => events.push([type, ...args]));
  socket.on('message', (data, isBinary) => events.push(['message', data, isBinary]));
  const closed = new Promise((resolve) => {
    socket.on('close', (code, reason) => {
      events.push(['close', code, reason.toString()]);
      resolve(events);
    });
  });
  return { events, closed };
}
