// A WebSocketServer's clients, hook, limits and end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { inspect } from 'node:util';
import Ws from 'ws';
import {
  FAILED,
  frame,
  frameClient,
  heard,
  idleServer,
  listening,
  next,
  request as rawRequest,
  readUntil,
  tcpClient,
  WebSocket,
  WebSocketServer,
} from '../helpers/websocket-ends.mjs';

/** What a raw client that asks for a connection is told. */
async function told(t, port, extra) {
  const client = await tcpClient(t, port);
  client.write(rawRequest(port, extra));
  const head = await readUntil(client, '\r\n\r\n');
  return { client, status: Number(head.split(' ')[1]) };
}

test('options', () => {
  for (const options of [{ onRequest: 1 }, { signal: {} }, { maxConnections: -1 }]) {
    assert.throws(() => new WebSocketServer(options), TypeError);
  }
});

test('clients is a live set of the open sockets', async (t) => {
  const sockets = [];
  const { server, url } = await listening(t, (socket) => sockets.push(socket));
  const { clients } = server;
  assert.deepEqual([...clients], []);
  const near = [new WebSocket(url), new WebSocket(url)];
  await Promise.all(near.map((socket) => next(socket, 'open')));
  while (sockets.length < 2) await new Promise(setImmediate);
  assert.equal(server.clients, clients);
  assert.equal(clients.size, 2);
  assert.deepEqual(new Set(clients), new Set(sockets));
  assert.deepEqual([...clients.keys()], [...clients.values()]);
  assert.deepEqual([...clients.entries()][0][0], [...clients.entries()][0][1]);
  assert.deepEqual([clients.has(sockets[0]), clients.has(near[0])], [true, false]);
  const seen = [];
  clients.forEach((socket, same, set) => void seen.push(socket === same && set === clients));
  assert.deepEqual(seen, [true, true]);
  const closed = next(sockets[0], 'close');
  sockets[0].close();
  await closed;
  assert.deepEqual([...clients], [sockets[1]]);
  assert.equal(clients.size, 1);
});

test('onRequest hears each request first', async (t) => {
  const hooked = [];
  const { server, port, url } = await idleServer(t, {
    async onRequest(request) {
      hooked.push(request.origin);
      await new Promise(setImmediate);
      if (request.origin === 'https://evil.example') request.reject(403);
      else if (request.origin === 'https://throws.example') throw new Error('in the hook');
      else if (request.origin === 'https://own.example') (await request.accept()).send('from the hook');
    },
  });
  server.onconnection = ({ socket }) => socket.send('from the listener');
  const warned = once(process, 'warning');
  assert.equal((await told(t, port, ['Origin: https://evil.example'])).status, 403);
  assert.equal((await told(t, port, ['Origin: https://throws.example'])).status, 500);
  assert.equal((await warned)[0].message, 'in the hook');
  const own = new WebSocket(url, { headers: { Origin: 'https://own.example' } });
  assert.equal((await next(own, 'message')).data, 'from the hook');
  const other = new WebSocket(url);
  assert.equal((await next(other, 'message')).data, 'from the listener');
  assert.deepEqual(hooked.slice(2), ['https://own.example', '']);
});

test('every origin is let in by default, and is told: none, null, a foreign one', async (t) => {
  const seen = [];
  const { port } = await listening(t, (_, request) => seen.push([request.origin, request.headers.has('origin')]));
  for (const extra of [[], ['Origin: null'], ['Origin: https://foreign.example:8443']]) {
    assert.equal((await told(t, port, extra)).status, 101);
  }
  while (seen.length < 3) await new Promise(setImmediate);
  assert.deepEqual(seen, [
    ['', false],
    ['null', true],
    ['https://foreign.example:8443', true],
  ]);
});

test('what the hook leaves unanswered is answered 503 at its time limit', async (t) => {
  const asked = [];
  // Long enough for the client's request on a busy machine.
  const { port } = await idleServer(t, { handshakeTimeoutMs: 3000, onRequest: (request) => asked.push(request) });
  assert.equal((await told(t, port)).status, 503);
  assert.equal(asked[0].signal.aborted, true);
  const socket = await asked[0].accept();
  assert.equal(socket.readyState, WebSocket.CLOSED);
});

test('more than maxConnections are refused with 503, until one has gone', async (t) => {
  const sockets = [];
  const { server, port } = await listening(t, (socket) => sockets.push(socket), { maxConnections: 2 });
  const first = await told(t, port);
  assert.equal(first.status, 101);
  assert.equal((await told(t, port)).status, 101);
  assert.equal((await told(t, port)).status, 503);
  while (sockets.length < 2) await new Promise(setImmediate);
  const closed = next(sockets[0], 'close');
  first.client.destroy();
  await closed;
  assert.equal((await told(t, port)).status, 101);
  assert.equal(server.clients.size <= 2, true);
});

test('close() with a code and a reason', async (t) => {
  const { server, url } = await listening(t);
  for (const options of [{ code: 1005 }, { code: 999 }, { code: 5000 }]) {
    assert.throws(() => server.close(options), { name: 'InvalidAccessError' });
  }
  assert.throws(() => server.close({ reason: 'é'.repeat(62) }), { name: 'SyntaxError' });
  const client = heard(new WebSocket(url));
  while (server.clients.size < 1) await new Promise(setImmediate);
  await server.close({ code: 1012, reason: 'restarting' });
  assert.deepEqual((await client.closed).at(-1), ['close', 1012, 'restarting', true]);
  assert.equal(server.clients.size, 0);
});

test('an abort signal closes the server', async (t) => {
  const controller = new AbortController();
  const { server, url } = await listening(t, () => {}, { signal: controller.signal });
  const client = heard(new WebSocket(url));
  while (server.clients.size < 1) await new Promise(setImmediate);
  controller.abort();
  assert.deepEqual((await client.closed).at(-1), ['close', 1001, '', true]);
  await server.close();
  assert.deepEqual(await heard(new WebSocket(url)).closed, FAILED);
  const late = new WebSocketServer({ host: '127.0.0.1', signal: AbortSignal.abort() });
  await late.close();
  assert.throws(() => late.address(), { name: 'InvalidStateError' });
});

test('Symbol.asyncDispose, util.inspect', async () => {
  const server = new WebSocketServer({ host: '127.0.0.1' });
  await server.ready;
  assert.match(inspect(server), /^WebSocketServer \{.*state: 'open'.*listening.*clients: 0/s);
  await server[Symbol.asyncDispose]();
  assert.match(inspect(server), /state: 'closed'/);
});

test('a server is an async iterable of its requests', async (t) => {
  const { server, url } = await idleServer(t);
  const sockets = ['a', 'b', 'c'].map((path) => new WebSocket(`${url}${path}`));
  const closed = Promise.all(sockets.map((socket) => next(socket, 'close')));
  const served = [];
  // Whoever leaves the loop takes nothing with him.
  while (served.length < 3) {
    for await (const request of server) {
      served.push(request.url);
      (await request.accept()).close(3000);
      if (served.length !== 2) break;
    }
  }
  assert.deepEqual(served.toSorted(), ['/a', '/b', '/c']);
  assert.deepEqual(
    (await closed).map(({ code }) => code),
    [3000, 3000, 3000],
  );
  const rest = (async () => {
    for await (const request of server) served.push(request.url);
  })();
  assert.throws(() => server[Symbol.asyncIterator](), TypeError);
  await server.close();
  await rest;
  assert.equal(served.length, 3);
});

test('a request is shown without its headers', async (t) => {
  const { server, port } = await idleServer(t);
  const client = await tcpClient(t, port);
  client.write(rawRequest(port, ['Cookie: secret', 'Origin: https://page.example', 'Sec-WebSocket-Protocol: a']));
  const { value: request } = await server.incomingRequests.getReader().read();
  const shown = inspect(request);
  assert.match(
    shown,
    /^WebSocketRequest \{\s+url: '\/',\s+origin: 'https:\/\/page\.example',\s+protocols: \[ 'a' \],\s+remoteAddress: /,
  );
  assert.match(shown, /answered: false/);
  assert.doesNotMatch(shown, /secret/);
  request.reject(403);
  assert.match(inspect(request), /answered: true/);
  assert.equal(inspect(Object.create(Object.getPrototypeOf(request))), 'WebSocketRequest {}');
  client.destroy();
});

test('a socket that breaks is none of the clients any more', async (t) => {
  const { server, url } = await listening(t);
  const client = new Ws(url);
  await once(client, 'open');
  while (server.clients.size < 1) await new Promise(setImmediate);
  const [socket] = server.clients;
  client.terminate();
  await next(socket, 'close');
  assert.equal(server.clients.has(socket), false);
});

test('close() waits for its clients also where timeoutMs is more than a timer of Node takes', async (t) => {
  const { server, port } = await listening(t);
  const accepted = next(server, 'connection');
  const client = await frameClient(t, port);
  const { socket } = await accepted;
  const { closed } = heard(socket);
  const warnings = [];
  const warned = (warning) => warnings.push(warning.name);
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  const ended = server.close({ timeoutMs: 2 ** 32 - 1 });
  await once(client, 'readable');
  client.write(frame(0x88, '', { mask: [1, 2, 3, 4] }));
  assert.deepEqual(await closed, [['close', 1005, '', true]]);
  await ended;
  assert.deepEqual(warnings, []);
});

test('whatever onRequest throws, its client is answered and a warning says so', async (t) => {
  const thrown = [Object.create(null), Symbol('s'), undefined, { toString: null }, 'text'];
  const warnings = [];
  const warned = (warning) => warnings.push(warning.message);
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  const { port } = await idleServer(t, {
    async onRequest() {
      throw thrown[warnings.length];
    },
  });
  for (const _ of thrown) {
    const warning = once(process, 'warning');
    assert.equal((await told(t, port)).status, 500);
    await warning;
  }
  assert.deepEqual(warnings, ['[Object: null prototype] {}', 'Symbol(s)', 'undefined', '{ toString: null }', 'text']);
});
