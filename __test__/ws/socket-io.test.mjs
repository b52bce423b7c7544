// socket.io, unmodified: its client over our WebSocket, its server over our WebSocketServer. The other end runs on `ws`
// as well as on ours.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { NodeWebSocket } from 'engine.io-client';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';
import { ours, theirs } from '../helpers/ws.mjs';

/** The transport of socket.io's client with the class put in where it makes its socket. */
function transport(WebSocket) {
  return class extends NodeWebSocket {
    createSocket(uri, protocols, options) {
      return new WebSocket(uri, protocols, options);
    }
  };
}

/** A server of socket.io that echoes `echo`, whose WebSockets are made by `wsEngine`. */
async function serve(t, wsEngine, options = {}) {
  const http = createServer();
  const server = new Server(http, { wsEngine, ...options });
  server.on('connection', (socket) => {
    socket.on('echo', (...values) => values.pop()(...values));
    socket.on('say', (...values) => socket.emit('said', ...values));
    socket.on('all', (...values) => server.emit('heard', ...values));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => new Promise((resolve) => server.close(resolve)));
  return { server, url: `http://127.0.0.1:${http.address().port}` };
}

async function connect(t, url, options) {
  const socket = io(url, { forceNew: true, reconnection: false, ...options });
  t.after(() => socket.close());
  await new Promise((resolve, reject) => socket.on('connect', resolve).on('connect_error', reject));
  return socket;
}

/** Text, JSON, and binary both ways, small and large. */
async function exercise(socket) {
  const large = Buffer.alloc(300_000, 7);
  const values = ['text', { deep: [1, null, 'ä'] }, Buffer.from([1, 2, 3]), { in: large }];
  assert.deepEqual(await new Promise((resolve) => socket.emit('echo', ...values, (...back) => resolve(back))), values);
  const said = new Promise((resolve) => socket.on('said', (...back) => resolve(back)));
  socket.emit('say', ...values);
  assert.deepEqual(await said, values);
}

const implementations = { ours, theirs };
for (const [client, server] of [
  ['ours', 'theirs'],
  ['theirs', 'ours'],
  ['ours', 'ours'],
]) {
  test(`client on ${client}, server on ${server}`, async (t) => {
    const { url, server: sockets } = await serve(t, implementations[server].WebSocketServer);
    const transports = [transport(implementations[client].WebSocket)];
    const socket = await connect(t, url, { transports });
    assert.equal(socket.io.engine.transport.name, 'websocket');
    assert.ok(socket.io.engine.transport.ws instanceof implementations[client].WebSocket);
    await exercise(socket);
    const [there] = await sockets.fetchSockets();
    const gone = once(there, 'disconnect');
    socket.disconnect();
    assert.deepEqual(await gone, ['client namespace disconnect', undefined]);
  });
}

test('the server upgrades from polling, and broadcasts', async (t) => {
  const { url } = await serve(t, ours.WebSocketServer);
  const sockets = [];
  for (let count = 0; count < 3; count++) {
    const socket = await connect(t, url, {});
    if (socket.io.engine.transport.name === 'polling') await once(socket.io.engine, 'upgrade');
    assert.equal(socket.io.engine.transport.name, 'websocket');
    sockets.push(socket);
  }
  const heard = sockets.map((socket) => new Promise((resolve) => socket.on('heard', (...values) => resolve(values))));
  sockets[0].emit('all', 'to all', Buffer.from([9]));
  for (const values of await Promise.all(heard)) assert.deepEqual(values, ['to all', Buffer.from([9])]);
});

test('the client hears that the server closes, and that there is none', async (t) => {
  const { url, server } = await serve(t, theirs.WebSocketServer);
  const socket = await connect(t, url, { transports: [transport(ours.WebSocket)] });
  const reason = once(socket, 'disconnect');
  server.disconnectSockets(true);
  assert.equal((await reason)[0], 'io server disconnect');
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(connect(t, url, { transports: [transport(ours.WebSocket)] }), { message: 'websocket error' });
});

for (const which of ['webwire', 'ws']) {
  test(`the client for browsers takes the WebSocket of ${which} from the globals`, async (t) => {
    const { url } = await serve(t, theirs.WebSocketServer);
    const program = fileURLToPath(new URL('../helpers/socket-io-global.mjs', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program, which, url], { signal: t.signal });
    assert.deepEqual(JSON.parse(stdout), [true, 'text', [1, 2, 3]]);
  });
}
