// A `verifyClient` that calls back: how long a client waits for it, and how many may.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { test } from 'node:test';
import { createCertificate } from '../helpers/certificate.mjs';
import { all, readUntil, request, tcpClient } from '../helpers/websocket-ends.mjs';
import { echo, ours, serve, theirs } from '../helpers/ws.mjs';

const { WebSocketServer } = ours;

/** A raw client that has sent its request. */
async function client(t, server) {
  const { port } = server.address();
  const socket = await tcpClient(t, port);
  socket.write(request(port));
  return socket;
}

/** A server whose `verifyClient` hands out its callbacks: `asked()` is the next one. */
async function asking(t, options) {
  const callbacks = [];
  const waiting = [];
  const verifyClient = (info, verified) => {
    const next = { info, verified };
    if (waiting.length > 0) waiting.shift()(next);
    else callbacks.push(next);
  };
  const { server, url } = await serve(t, ours, { ...options, verifyClient });
  const asked = () =>
    callbacks.length > 0 ? Promise.resolve(callbacks.shift()) : new Promise((resolve) => waiting.push(resolve));
  return { asked, callbacks, server, url };
}

/** The codes of the clients that a server has refused, for its operator. */
function rejections(t, server) {
  const codes = [];
  const listener = (message) => {
    if (message.server === server) codes.push(message.error.code);
  };
  subscribe('webwire:websocket:server:reject', listener);
  t.after(() => unsubscribe('webwire:websocket:server:reject', listener));
  return codes;
}

test('without a call the client gets 503 in the end, and a late call does nothing', async (t) => {
  const { asked, server } = await asking(t, { handshakeTimeout: 50 });
  const codes = rejections(t, server);
  server.on('connection', () => assert.fail('connected'));
  const socket = await client(t, server);
  const received = all(socket);
  const { verified } = await asked();
  assert.match(String(await received), /^HTTP\/1\.1 503 Service Unavailable\r\nConnection: close\r\n/);
  verified(true);
  verified(false, 400);
  assert.equal(server.clients.size, 0);
  assert.deepEqual(codes, ['ETIMEDOUT']);
});

test('there is a time and a number without options, and with those that are none', () => {
  const server = new WebSocketServer({ noServer: true });
  assert.deepEqual([server.options.handshakeTimeout, server.options.maxPendingHandshakes], [30_000, 1024]);
  server.close();
});

test('no time limit is none, and no number', async (t) => {
  for (const none of [undefined, 0, -1, Number.NaN, '1', Number.POSITIVE_INFINITY]) {
    const options = { handshakeTimeout: none, maxPendingHandshakes: none };
    const { asked, server } = await asking(t, options);
    const socket = await client(t, server);
    const { verified } = await asked();
    // A time of 0 would have passed.
    await new Promise(setImmediate);
    verified(true);
    assert.match(await readUntil(socket, '\r\n\r\n'), /^HTTP\/1\.1 101 /, String(none));
  }
});

test('only so many wait, the next one gets 503 and is not asked for', async (t) => {
  const { asked, callbacks, server } = await asking(t, { maxPendingHandshakes: 2 });
  const codes = rejections(t, server);
  const [first, second] = [await client(t, server), await client(t, server)];
  const answers = [await asked(), await asked()];
  assert.match(String(await all(await client(t, server))), /^HTTP\/1\.1 503 /);
  assert.deepEqual([callbacks.length, codes], [0, ['ERR_TOO_MANY_HANDSHAKES']]);
  const refusedOne = all(second);
  answers[1].verified(false);
  const third = await client(t, server);
  const { verified } = await asked();
  verified(true);
  answers[0].verified(true);
  for (const socket of [first, third]) assert.match(await readUntil(socket, '\r\n\r\n'), /^HTTP\/1\.1 101 /);
  assert.match(String(await refusedOne), /^HTTP\/1\.1 401 /);
});

test('a client that goes makes room for another one', async (t) => {
  const { asked, server } = await asking(t, { maxPendingHandshakes: 1 });
  const codes = rejections(t, server);
  const first = await client(t, server);
  const { info, verified } = await asked();
  const gone = new Promise((resolve) => info.req.socket.on('close', resolve));
  first.resetAndDestroy();
  await gone;
  assert.deepEqual(codes, ['EOF']);
  const second = await client(t, server);
  (await asked()).verified(true);
  assert.match(await readUntil(second, '\r\n\r\n'), /^HTTP\/1\.1 101 /);
  verified(true);
  assert.equal(server.clients.size, 1);
});

test('one that throws makes room too', async (t) => {
  const server = new WebSocketServer({
    noServer: true,
    maxPendingHandshakes: 1,
    verifyClient: (_info, _verified) => {
      throw new Error('thrown');
    },
  });
  const http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => http.close());
  for (let count = 0; count < 2; count++) {
    const upgraded = once(http, 'upgrade');
    const socket = await client(t, http);
    const received = all(socket);
    const upgrade = await upgraded;
    assert.throws(() => server.handleUpgrade(...upgrade, assert.fail), { message: 'thrown' });
    assert.match(String(await received), /^HTTP\/1\.1 500 /);
  }
});

test('the first call counts, also where Node keeps the socket', async (t) => {
  const { cert, key } = createCertificate();
  const https = createSecureServer({ cert, key });
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  t.after(() => https.close());
  let connections = 0;
  const server = new WebSocketServer({
    server: https,
    verifyClient: (_info, verified) => {
      verified(true);
      verified(true);
      verified(false);
      setImmediate(verified, true);
    },
  });
  server.on('connection', (socket) => {
    connections += 1;
    echo(socket);
  });
  const socket = new theirs.WebSocket(`wss://127.0.0.1:${https.address().port}`, { ca: cert });
  await once(socket, 'open');
  socket.send('text');
  assert.deepEqual(await once(socket, 'message'), [Buffer.from('text'), false]);
  const closed = once(socket, 'close');
  socket.close(1000);
  assert.equal((await closed)[0], 1000);
  assert.equal(connections, 1);
});

for (const [name, implementation] of Object.entries({ ours, theirs })) {
  test(`two upgrades of one socket that wait are one connection (${name})`, async (t) => {
    const { cert, key } = createCertificate();
    const https = createSecureServer({ cert, key });
    https.listen(0, '127.0.0.1');
    await once(https, 'listening');
    t.after(() => https.close());
    const callbacks = [];
    const verifyClient = (_info, verified) => callbacks.push(verified);
    const server = new implementation.WebSocketServer({ noServer: true, verifyClient });
    const upgraded = once(https, 'upgrade');
    const socket = new theirs.WebSocket(`wss://127.0.0.1:${https.address().port}`, { ca: cert });
    const opened = once(socket, 'open');
    const upgrade = await upgraded;
    server.handleUpgrade(...upgrade, echo);
    server.handleUpgrade(...upgrade, assert.fail);
    callbacks[0](true);
    assert.throws(() => callbacks[1](true), { message: /more than once/ });
    await opened;
    socket.send('text');
    assert.deepEqual(await once(socket, 'message'), [Buffer.from('text'), false]);
    const closed = once(socket, 'close');
    socket.close();
    await closed;
  });
}
