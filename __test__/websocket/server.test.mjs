// WebSocketServer: listening, requests, answers, closing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import Ws from 'ws';
import {
  echo,
  FAILED,
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

test('options', () => {
  for (const options of [{ port: -1 }, { port: 65_536 }, { maxMessageSize: -1 }, 1, { host: Symbol('a') }]) {
    assert.throws(() => new WebSocketServer(options), TypeError);
  }
  assert.throws(() => new WebSocketServer({ maxPendingHandshakes: 0 }), RangeError);
  assert.throws(() => new WebSocketServer({ perMessageDeflate: { serverMaxWindowBits: 7 } }), RangeError);
  for (const name of ['verifyClient']) {
    assert.throws(() => new WebSocketServer({ [name]: {} }), { name: 'NotSupportedError' });
  }
});

test('ready, address() and a port that is in use', async (t) => {
  const early = new WebSocketServer({ host: '127.0.0.1' });
  assert.throws(() => early.address(), { name: 'InvalidStateError' });
  await early.ready;
  const { address, family, port } = early.address();
  assert.deepEqual([address, family], ['127.0.0.1', 'IPv4']);
  const second = new WebSocketServer({ host: '127.0.0.1', port });
  await assert.rejects(second.ready, { code: 'EADDRINUSE' });
  await second.close();
  await early.close();
  assert.throws(() => early.address(), { name: 'InvalidStateError' });
  const { server } = await idleServer(t, { host: undefined });
  assert.equal(typeof server.address().port, 'number');
});

test('requests are accepted and rejected one by one', async (t) => {
  const { server, port, url } = await idleServer(t);
  const served = (async () => {
    const seen = [];
    for await (const request of server.incomingRequests) {
      seen.push(request);
      if (request.url.startsWith('/no')) {
        request.reject(403, { headers: { 'X-Why': 'no' }, body: 'go away' });
        assert.throws(() => request.reject(403), { name: 'InvalidStateError' });
        await assert.rejects(request.accept(), { name: 'InvalidStateError' });
        continue;
      }
      await assert.rejects(request.accept({ protocol: 'c' }), TypeError);
      await assert.rejects(request.accept({ headers: { 'a b': 'c' } }), TypeError);
      const socket = await request.accept({ protocol: 'b', headers: { 'X-Hi': 'there' } });
      assert.ok(socket instanceof WebSocket);
      assert.equal(socket.readyState, WebSocket.OPEN);
      assert.deepEqual([socket.url, socket.protocol, socket.extensions], [`${url}yes?a=b`, 'b', '']);
      assert.throws(() => request.reject(403), { name: 'InvalidStateError' });
      echo(socket);
    }
    return seen;
  })();
  const client = new Ws(`${url}yes?a=b`, ['a', 'b'], { origin: 'https://example.com', headers: { 'X-Name': 'é' } });
  const upgrade = once(client, 'upgrade');
  await once(client, 'open');
  assert.equal((await upgrade)[0].headers['x-hi'], 'there');
  assert.equal(client.protocol, 'b');
  client.send('hello');
  assert.equal(String((await once(client, 'message'))[0]), 'hello');
  const refused = new Ws(`${url}no`);
  refused.on('error', () => {});
  const [, response] = await once(refused, 'unexpected-response');
  assert.deepEqual([response.statusCode, response.headers['x-why']], [403, 'no']);
  assert.equal(String((await once(response, 'data'))[0]), 'go away');
  refused.terminate();
  const closed = once(client, 'close');
  await server.close();
  assert.equal((await closed)[0], 1001);
  const [yes, no] = await served;
  assert.deepEqual([yes.url, yes.origin, [...yes.protocols]], ['/yes?a=b', 'https://example.com', ['a', 'b']]);
  assert.equal(yes.headers.get('x-name'), 'é');
  assert.equal(yes.headers.get('host'), `127.0.0.1:${port}`);
  assert.equal(yes.remoteAddress.address, '127.0.0.1');
  assert.equal(yes.remoteAddress.family, 'IPv4');
  assert.ok(yes.remoteAddress.port > 0);
  assert.equal(no.origin, '');
});

test('what reject() and accept() refuse leaves the request as it was', async (t) => {
  const { server, port } = await idleServer(t);
  const reader = server.incomingRequests.getReader();
  const ask = async () => {
    const client = await tcpClient(t, port);
    client.write(rawRequest(port));
    return { client, request: (await reader.read()).value };
  };
  const wrong = [
    { 'a b': 'c' },
    { '': 'c' },
    { 'X-A': 'b\r\nX-B: c' },
    { 'X-A': '\0' },
    { 'X-A': '\u0100' },
    { 'X-A\r\nX-B': 'c' },
    { Connection: 'keep-alive' },
    { 'Content-Length': '5' },
    { 'Sec-WebSocket-Accept': 'a' },
    [['X-A']],
    'X-A: b',
  ];
  const { client, request } = await ask();
  for (const status of [0, 100, 101, 200, 204, 299, 600, 999, 65_535]) {
    assert.throws(() => request.reject(status), RangeError, String(status));
  }
  for (const status of [-1, 65_536, NaN, Infinity, 'x', undefined, {}, 403n]) {
    assert.throws(() => request.reject(status), TypeError, String(status));
  }
  for (const headers of wrong) {
    assert.throws(() => request.reject(403, { headers }), TypeError, JSON.stringify(headers));
    await assert.rejects(request.accept({ headers }), TypeError, JSON.stringify(headers));
  }
  assert.throws(() => request.reject(403, { body: Symbol('a') }), TypeError);
  assert.throws(() => request.reject(304, { body: 'a' }), TypeError);
  assert.equal(request.signal.aborted, false);
  request.reject(599, { headers: [['X-Why', ' \u00e9 ']], body: '\u00e9' });
  const head = await readUntil(client, '\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 599 /);
  assert.match(head, /^X-Why: \u00e9\r$/m);
  assert.match(head, /^Content-Length: 2\r$/m);
  const lowest = await ask();
  lowest.request.reject(300);
  assert.match(await readUntil(lowest.client, '\r\n\r\n'), /^HTTP\/1\.1 300 /);
  for (const one of [client, lowest.client]) one.destroy();
});

test('requests that come before anybody asks for them wait', async (t) => {
  const { server, url } = await idleServer(t);
  const socket = new WebSocket(`${url}early`);
  const opened = next(socket, 'open');
  const reader = server.incomingRequests.getReader();
  const { value: request } = await reader.read();
  assert.equal(request.url, '/early');
  await request.accept();
  await opened;
  const other = new WebSocket(url);
  const second = (await reader.read()).value;
  reader.releaseLock();
  await second.accept();
  if (other.readyState !== WebSocket.OPEN) await next(other, 'open');
});

test('the short way: a listener for connection', async (t) => {
  const { server, url } = await idleServer(t);
  const connection = next(server, 'connection');
  const socket = new WebSocket(`${url}short`);
  const { socket: accepted, request } = await connection;
  assert.equal(request.url, '/short');
  assert.equal(accepted.protocol, '');
  if (socket.readyState === WebSocket.CONNECTING) await next(socket, 'open');
  accepted.send('from the server');
  assert.equal((await next(socket, 'message')).data, 'from the server');
  server.onconnection = ({ socket: later }) => later.close(3000);
  // Of subprotocols the client gets the one that it prefers.
  const choosy = new WebSocket(url, ['first', 'second']);
  const { code } = await next(choosy, 'close');
  assert.equal(choosy.protocol, 'first');
  assert.equal(code, 3000);
});

test('a client that goes away before its answer', async (t) => {
  const { server, port } = await idleServer(t);
  const reader = server.incomingRequests.getReader();
  const client = await tcpClient(t, port);
  client.write(rawRequest(port));
  const { value: request } = await reader.read();
  assert.equal(request.signal.aborted, false);
  client.destroy();
  await next(request.signal, 'abort');
  const socket = await request.accept();
  assert.equal(socket.readyState, WebSocket.CLOSED);
  assert.deepEqual(await heard(socket).closed, FAILED);
  assert.throws(() => request.reject(404), { name: 'InvalidStateError' });
});

test('a request that nobody answers ends at its time limit', async (t) => {
  // Long enough for the request on a busy machine.
  const { server, port } = await idleServer(t, { handshakeTimeoutMs: 3000 });
  const reader = server.incomingRequests.getReader();
  const client = await tcpClient(t, port);
  client.write(rawRequest(port));
  const ended = once(client, 'close');
  client.resume();
  const { value: request } = await reader.read();
  await next(request.signal, 'abort');
  await ended;
  request.reject(404);
});

test('a client that never finishes its request is cut off, and others are served', async (t) => {
  const { server, port, url } = await idleServer(t, { handshakeTimeoutMs: 1000, maxPendingHandshakes: 1 });
  server.onconnection = ({ socket }) => echo(socket);
  const slow = await tcpClient(t, port);
  slow.write('GET / HTTP/1.1\r\n');
  slow.resume();
  const cut = once(slow, 'close');
  // On a busy machine an honest client may be too slow as well: then another one tries.
  let socket;
  do socket = new WebSocket(url);
  while ((await Promise.race([next(socket, 'open'), next(socket, 'close')])).type === 'close');
  await cut;
  socket.close();
});

test('frames that come with the request are read after the answer', async (t) => {
  const { server, port } = await idleServer(t);
  const client = await tcpClient(t, port);
  const message = Buffer.from([0x81, 0x81, 1, 2, 3, 4, 0x61 ^ 1]);
  client.write(Buffer.concat([Buffer.from(rawRequest(port)), message]));
  const reader = server.incomingRequests.getReader();
  const { value: request } = await reader.read();
  const socket = await request.accept();
  assert.equal((await next(socket, 'message')).data, 'a');
  assert.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1.1 101 /);
});

test('close() closes sockets with 1001, and cuts off those that do not answer', async (t) => {
  const { server, port, url } = await listening(t, echo);
  const good = heard(new WebSocket(url));
  const silent = await tcpClient(t, port);
  silent.write(rawRequest(port));
  await readUntil(silent, '\r\n\r\n');
  silent.resume();
  const gone = once(silent, 'close');
  while (good.events.length === 0) await new Promise(setImmediate);
  // Long enough for the answer of the one that gives it.
  await server.close({ timeoutMs: 3000 });
  await server.close();
  await gone;
  assert.deepEqual((await good.closed).at(-1), ['close', 1001, '', true]);
  assert.deepEqual(await heard(new WebSocket(url)).closed, FAILED);
});

test('close() refuses what waits', async (t) => {
  const { server, port } = await idleServer(t);
  const client = await tcpClient(t, port);
  client.write(rawRequest(port));
  const reader = server.incomingRequests.getReader();
  const { value: request } = await reader.read();
  const closed = server.close();
  assert.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1.1 503 /);
  client.destroy();
  await closed;
  assert.equal(request.signal.aborted, true);
  assert.equal((await reader.read()).done, true);
});

test('one hundred clients at once, both ends ours', async (t) => {
  const { url } = await listening(t, echo);
  const sockets = Array.from({ length: 100 }, () => new WebSocket(url));
  await Promise.all(sockets.map((socket) => next(socket, 'open')));
  const answers = sockets.map((socket, index) => {
    socket.send(`socket ${index}`);
    return next(socket, 'message');
  });
  const texts = (await Promise.all(answers)).map(({ data }) => data);
  assert.deepEqual(
    texts,
    sockets.map((_, index) => `socket ${index}`),
  );
  await Promise.all(
    sockets.map((socket) => {
      socket.close();
      return next(socket, 'close');
    }),
  );
});
