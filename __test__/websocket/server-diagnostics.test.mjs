// What the operator of a server hears: the channels `webwire:websocket:server:…`, and why an accepted socket fails.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import Ws from 'ws';
import { createCertificate } from '../helpers/certificate.mjs';
import {
  all,
  heard,
  listening,
  next,
  request as rawRequest,
  tcpClient,
  WebSocket,
  WebSocketServer,
} from '../helpers/websocket-ends.mjs';

const NAMES = ['listening', 'request', 'connection', 'reject', 'close', 'error'];

/** Collects what is published of servers: `[name, message]`; `until(name)` waits for the next one of a name. */
function published(t) {
  const messages = [];
  const waiting = new Map();
  for (const name of NAMES) {
    const listener = (message) => {
      messages.push([name, message]);
      waiting.get(name)?.(message);
      waiting.delete(name);
    };
    subscribe(`webwire:websocket:server:${name}`, listener);
    t.after(() => unsubscribe(`webwire:websocket:server:${name}`, listener));
  }
  const until = (name) => new Promise((resolve) => waiting.set(name, resolve));
  return { messages, until };
}

/** Clients, one after the other, that ask for no WebSocket: the native core alone answers them. */
const REFUSED_CLIENTS = `
  const ask = (count) => require('node:net').connect(process.argv[1], '127.0.0.1')
    .end('GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n').resume().on('close', () => count > 1 && ask(count - 1));
  ask(5);
`;

const told = ({ phase, code, status }) => [phase, code, status];

test('the life of a server', async (t) => {
  const { messages } = published(t);
  const server = new WebSocketServer({ host: '127.0.0.1' });
  await server.ready;
  const { address, port } = server.address();
  const connected = next(server, 'connection');
  const socket = new WebSocket(`ws://127.0.0.1:${port}/path`);
  const closed = next(socket, 'close');
  const { request, socket: websocket } = await connected;
  await server.close();
  await closed;
  assert.deepEqual(messages, [
    ['listening', { server, address: { address, family: 'IPv4', port } }],
    ['request', { server, request }],
    ['connection', { server, request, websocket }],
    ['close', { server }],
  ]);
  assert.equal(request.url, '/path');
});

test('a server that can not listen', async (t) => {
  const { port } = await listening(t);
  const { messages } = published(t);
  const server = new WebSocketServer({ host: '127.0.0.1', port });
  await assert.rejects(server.ready, { code: 'EADDRINUSE' });
  await server.close();
  const [[, { error }]] = messages;
  assert.deepEqual(
    messages.map(([name, message]) => [name, message.server === server]),
    [
      ['error', true],
      ['close', true],
    ],
  );
  assert.deepEqual([...told(error), error.syscall], ['listen', 'EADDRINUSE', undefined, 'listen']);
});

test('clients that are not let in', async (t) => {
  t.mock.method(process, 'emitWarning', () => {});
  const onRequest = (request) => {
    if (request.url === '/rejected') request.reject(403);
    if (request.url === '/thrown') throw new Error('a fault of the hook');
  };
  const { messages, until } = published(t);
  const { server, port, url } = await listening(t, () => {}, { onRequest, maxConnections: 2, path: '/' });
  const expected = [
    ['/rejected', 'ERR_REJECTED', 403],
    ['/thrown', 'ERR_REQUEST_HOOK', 500],
    ['/elsewhere', 'ERR_PATH', 404],
  ];
  const hooked = new WebSocketServer({ host: '127.0.0.1', onRequest, maxConnections: 2 });
  t.after(() => hooked.close({ timeoutMs: 0 }));
  await hooked.ready;
  for (const [path, code, status] of expected) {
    const base = status === 404 ? url : `ws://127.0.0.1:${hooked.address().port}/`;
    const { closed } = heard(new WebSocket(new URL(path, base)));
    const { request, error } = await until('reject');
    assert.deepEqual([request.url, ...told(error)], [path, 'handshake', code, status]);
    await closed;
  }

  const client = await tcpClient(t, port);
  const { localAddress, localPort } = client;
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const upgrade = await until('reject');
  assert.deepEqual([upgrade.server, upgrade.request], [server, undefined]);
  assert.deepEqual(told(upgrade.error), ['handshake', 'ERR_HANDSHAKE_REQUEST', 426]);
  assert.deepEqual([upgrade.error.address, upgrade.error.port], [localAddress, localPort]);

  (await tcpClient(t, port)).destroy();
  assert.deepEqual(told((await until('reject')).error), ['handshake', 'EOF', undefined]);

  const open = [new WebSocket(url), new WebSocket(url)];
  await Promise.all(open.map((socket) => next(socket, 'open')));
  const { closed } = heard(new WebSocket(url));
  assert.deepEqual(told((await until('reject')).error), ['handshake', 'ERR_TOO_MANY_CONNECTIONS', 503]);
  await closed;
  for (const socket of open) socket.close();
  assert.equal(messages.filter(([name]) => name === 'reject').length, 6);
});

test('a client whose answer is still to come when the server closes', async (t) => {
  const { messages } = published(t);
  const server = new WebSocketServer({ host: '127.0.0.1' });
  await server.ready;
  const { port } = server.address();
  const client = await tcpClient(t, port);
  client.write(rawRequest(port));
  const { value: request } = await server.incomingRequests.getReader().read();
  const answer = all(client);
  await server.close();
  assert.match(String(await answer), /^HTTP\/1\.1 503 /);
  const [[, rejection]] = messages.filter(([name]) => name === 'reject');
  assert.deepEqual([rejection.server, rejection.request], [server, request]);
  assert.deepEqual(told(rejection.error), ['handshake', 'ERR_SERVER_CLOSED', 503]);
});

test('more clients than may wait for their answer', async (t) => {
  const { messages } = published(t);
  const http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => http.close());
  const server = new WebSocketServer({ noServer: true, maxPendingHandshakes: 1 });
  t.after(() => server.close({ timeoutMs: 0 }));
  const { port } = http.address();
  const ask = async () => {
    const upgraded = once(http, 'upgrade');
    const client = await tcpClient(t, port);
    client.write(rawRequest(port));
    return [client, server.handleUpgrade(...(await upgraded))];
  };
  const [first, waiting] = await ask();
  const [refused, none] = await ask();
  assert.match(String(await all(refused)), /^HTTP\/1\.1 503 /);
  assert.equal(none, undefined);
  const rejections = messages.filter(([name]) => name === 'reject').map(([, rejection]) => rejection);
  assert.deepEqual(
    rejections.map(({ request, error }) => [request, ...told(error)]),
    [[undefined, 'handshake', 'ERR_TOO_MANY_HANDSHAKES', 503]],
  );
  waiting.reject(403);
  first.destroy();
});

test('a client that speaks no TLS, and one that is too slow', async (t) => {
  const certificate = createCertificate();
  const { port } = await listening(t, () => {}, certificate);
  const { until } = published(t);
  (await tcpClient(t, port)).write(rawRequest(port));
  assert.deepEqual(told((await until('reject')).error), ['tls', 'EPROTO', undefined]);
  const slow = await listening(t, () => {}, { handshakeTimeoutMs: 50 });
  // It may be up before this script hears that it has connected.
  const [{ error }] = await Promise.all([until('reject'), tcpClient(t, slow.port)]);
  assert.deepEqual(told(error), ['handshake', 'ETIMEDOUT', undefined]);
});

test('a server without descriptors tells of it, and accepts when there are some', {
  skip: process.platform !== 'linux' && 'ulimit',
}, async () => {
  const script = `
    const { WebSocket, WebSocketServer } = require('./index.js');
    const { openSync, closeSync } = require('node:fs');
    const { subscribe } = require('node:diagnostics_channel');
    const server = new WebSocketServer({ host: '127.0.0.1' });
    server.addEventListener('connection', () => {});
    server.ready.then(() => {
      const taken = [];
      try { for (;;) taken.push(openSync('/dev/null')); } catch {}
      subscribe('webwire:websocket:server:error', ({ error }) => {
        console.log(error.phase, error.syscall, error.code);
        while (taken.length > 0) closeSync(taken.pop());
      });
      // One is enough for the client.
      closeSync(taken.pop());
      new WebSocket('ws://127.0.0.1:' + server.address().port).onopen = () => {
        console.log('open');
        server.close({ timeoutMs: 0 });
      };
    });
  `;
  const stdout = execFileSync('sh', ['-c', 'ulimit -n 64; exec "$0" -e "$1"', process.execPath, script], {
    cwd: new URL('../..', import.meta.url),
    encoding: 'utf8',
  });
  assert.equal(stdout, 'listen accept EMFILE\nopen\n');
});

test("behind Node's http server", async (t) => {
  const { messages, until } = published(t);
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  t.after(() => server.close({ timeoutMs: 0 }));
  http.listen(0, '127.0.0.1');
  t.after(() => http.close());
  const { address } = await until('listening');
  assert.deepEqual(address, http.address());
  const client = await tcpClient(t, address.port);
  client.write(rawRequest(address.port).replace('Version: 13', 'Version: 12'));
  assert.deepEqual(told((await until('reject')).error), ['handshake', 'ERR_HANDSHAKE_REQUEST', 426]);
  const accepted = next(server, 'connection');
  const open = new Ws(`ws://127.0.0.1:${address.port}/`);
  const [{ request, socket: websocket }] = await Promise.all([accepted, once(open, 'open')]);
  open.terminate();
  assert.deepEqual(messages.slice(2), [
    ['request', { server, request }],
    ['connection', { server, request, websocket }],
  ]);
});

test('a client that has gone when it is accepted: its socket fails, and says why', async (t) => {
  const errors = [];
  const listener = ({ websocket, error }) => errors.push([websocket, error]);
  subscribe('webwire:websocket:error', listener);
  t.after(() => unsubscribe('webwire:websocket:error', listener));
  const server = new WebSocketServer({ host: '127.0.0.1' });
  t.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const { port } = server.address();
  const client = await tcpClient(t, port);
  client.write(rawRequest(port));
  const { value: request } = await server.incomingRequests.getReader().read();
  client.destroy();
  // This thread stands still, so it can't hear that the client has gone: only the native core does, which answers these others
  // behind it.
  execFileSync(process.execPath, ['-e', REFUSED_CLIENTS, String(port)]);
  const socket = await request.accept();
  await next(socket, 'close');
  const [[websocket, error]] = errors;
  assert.equal(websocket, socket);
  assert.deepEqual([...told(error), error.syscall], ['handshake', 'EOF', undefined, 'read']);
});

test('close() answers also the requests that its server has not heard of yet', async (t) => {
  const server = new WebSocketServer({ host: '127.0.0.1', handshakeTimeoutMs: 600_000 });
  server.addEventListener('connection', () => server.close({ timeoutMs: 0 }));
  await server.ready;
  const { port } = server.address();
  const clients = await Promise.all(Array.from({ length: 50 }, () => tcpClient(t, port)));
  const answers = clients.map(all);
  for (const client of clients) client.write(rawRequest(port));
  await Promise.all(answers);
  await server.close();
});

test("sockets of ws's interface have the same channels", async (t) => {
  const { WebSocket: Client, WebSocketServer: Server } = await import('webwire/ws');
  const { messages } = published(t);
  const lives = [];
  for (const name of ['open', 'close', 'error']) {
    const listener = ({ websocket, url, error, code }) => lives.push([name, websocket, url, error?.code ?? code]);
    subscribe(`webwire:websocket:${name}`, listener);
    t.after(() => unsubscribe(`webwire:websocket:${name}`, listener));
  }
  const server = new Server({ host: '127.0.0.1', port: 0, path: '/path' });
  await once(server, 'listening');
  const url = `ws://127.0.0.1:${server.address().port}/path`;
  const client = new Client(url);
  const [[websocket, request]] = await Promise.all([once(server, 'connection'), once(client, 'open')]);
  client.close(3000);
  await Promise.all([once(client, 'close'), once(websocket, 'close')]);
  const of = (socket) => lives.filter(([, about]) => about === socket).map(([name, , ...rest]) => [name, ...rest]);
  const life = [
    ['open', url, undefined],
    ['close', url, 3000],
  ];
  assert.deepEqual(of(client), life);
  assert.deepEqual(of(websocket), life);

  const refused = new Client(new URL('/elsewhere', url));
  await once(refused, 'error');
  assert.deepEqual(of(refused)[0], ['error', refused.url, 'ERR_HANDSHAKE_STATUS']);
  server.close();
  await once(server, 'close');
  const { error } = messages.find(([name]) => name === 'reject')[1];
  assert.deepEqual(told(error), ['handshake', 'ERR_PATH', 400]);
  assert.deepEqual(
    messages.map(([name]) => name),
    ['listening', 'request', 'connection', 'reject', 'close'],
  );
  assert.deepEqual(messages[2][1], { server, request, websocket });
});
