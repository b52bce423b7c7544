// The class WebSocketServer of `webwire/ws`, with the client of `ws` at the other end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, get, IncomingMessage } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCertificate } from '../helpers/certificate.mjs';
import { all, frame, KEY, readUntil, request, tcpClient } from '../helpers/websocket-ends.mjs';
import { echo, emitted, ours, serve, theirs } from '../helpers/ws.mjs';

const { WebSocket, WebSocketServer } = ours;

/** An http server on a free port. */
async function listen(t, server = createServer()) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return server.address().port;
}

/** A client of `ws` whose connection is open. */
async function connect(t, ...args) {
  const socket = new theirs.WebSocket(...args);
  t.after(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

/** The head of the answer to a raw request with these lines. */
async function answer(t, port, lines, first = 'GET / HTTP/1.1') {
  const socket = await tcpClient(t, port);
  const received = all(socket);
  socket.write(`${[first, `Host: 127.0.0.1:${port}`, ...lines].join('\r\n')}\r\n\r\n`);
  return (await received).toString();
}

const HANDSHAKE = [
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${KEY}`,
];

test('an echo, with the request that opened it', async (t) => {
  const requests = [];
  const { url, server } = await serve(t, ours, {}, (socket, request) => {
    requests.push(request);
    assert.ok(socket instanceof WebSocket);
    assert.equal(socket.readyState, WebSocket.OPEN);
    assert.equal(socket.protocol, 'a');
    echo(socket);
  });
  const socket = await connect(t, `${url}path?query`, ['a', 'b'], { headers: { 'X-One': 'two' } });
  assert.equal(socket.protocol, 'a');
  for (const [sent, isBinary] of [
    ['text', false],
    [Buffer.alloc(100_000, 3), true],
  ]) {
    const back = once(socket, 'message');
    socket.send(sent);
    assert.deepEqual(await back, [Buffer.from(sent), isBinary]);
  }
  const [seen] = requests;
  assert.ok(seen instanceof IncomingMessage);
  assert.equal(seen.url, '/path?query');
  assert.equal(seen.headers['x-one'], 'two');
  assert.equal(seen.socket.remoteAddress, '127.0.0.1');
  assert.equal(server.clients.size, 1);
  const [client] = server.clients;
  const closed = once(client, 'close');
  socket.close(3000, 'bye');
  assert.deepEqual(await closed, [3000, Buffer.from('bye')]);
  assert.equal(server.clients.size, 0);
});

test('what is sent at once is heard, also what came behind the request', async (t) => {
  const { url, server } = await serve(t, ours, {}, (socket) => {
    socket.send('hello');
    echo(socket);
  });
  const raw = await tcpClient(t, server.address().port);
  raw.write(Buffer.concat([Buffer.from(request(server.address().port)), frame(1, 'early', { mask: [1, 2, 3, 4] })]));
  await readUntil(raw, '\r\n\r\n');
  await readUntil(raw, frame(1, 'hello'));
  await readUntil(raw, frame(1, 'early'));
  const socket = new theirs.WebSocket(url);
  assert.deepEqual(await once(socket, 'message'), [Buffer.from('hello'), false]);
  socket.close();
  await once(socket, 'close');
});

test('one of port, server and noServer has to be given', () => {
  for (const options of [{}, { port: 0, noServer: true }, { server: createServer(), noServer: true }]) {
    assert.throws(() => new WebSocketServer(options), TypeError);
  }
});

test('its own server says 426 to what is no upgrade, and where it listens', async () => {
  let called = 0;
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' }, () => called++);
  await once(server, 'listening');
  assert.equal(called, 1);
  const { port } = server.address();
  const [response] = await once(get({ port, host: '127.0.0.1', agent: false }), 'response');
  assert.equal(response.statusCode, 426);
  response.resume();
  await once(response, 'end');
  await new Promise((resolve) => server.close(resolve));
  assert.equal(server.address(), null);
  const error = await new Promise((resolve) => server.close(resolve));
  assert.equal(error.message, 'The server is not running');
});

test('an address in use is its error event', async (t) => {
  const port = await listen(t);
  const server = new WebSocketServer({ port, host: '127.0.0.1' });
  const [error] = await once(server, 'error');
  assert.equal(error.code, 'EADDRINUSE');
});

test('with a server of another, path chooses', async (t) => {
  const http = createServer((_request, response) => response.end('page'));
  const port = await listen(t, http);
  const server = new WebSocketServer({ server: http, path: '/chat' });
  server.on('connection', echo);
  const socket = await connect(t, `ws://127.0.0.1:${port}/chat?x`);
  const back = once(socket, 'message');
  socket.send('text');
  await back;
  const refused = new theirs.WebSocket(`ws://127.0.0.1:${port}/other`);
  const [error] = await once(refused, 'error');
  assert.equal(error.message, 'Unexpected server response: 400');
  assert.deepEqual(server.address(), http.address());
  const [response] = await once(get({ port, host: '127.0.0.1', agent: false }), 'response');
  assert.equal(response.statusCode, 200);
  response.resume();
  // The clients that are there stay; close is heard when they have gone.
  const closed = once(server, 'close');
  server.close();
  assert.equal(http.listenerCount('upgrade'), 0);
  assert.equal(socket.readyState, WebSocket.OPEN);
  socket.close();
  await closed;
});

test('noServer: handleUpgrade gives the socket to its callback, once', async (t) => {
  const http = createServer();
  const port = await listen(t, http);
  const server = new WebSocketServer({ noServer: true, clientTracking: false });
  assert.equal(server.clients, undefined);
  assert.throws(() => server.address(), { message: /noServer/ });
  const given = new Promise((resolve) => {
    http.on('upgrade', (request, socket, head) => {
      server.handleUpgrade(request, socket, head, (client, sameRequest) => {
        assert.equal(sameRequest, request);
        assert.throws(() => server.handleUpgrade(request, socket, head, () => {}), { message: /more than once/ });
        echo(client);
        resolve(client);
      });
    });
  });
  const socket = await connect(t, `ws://127.0.0.1:${port}`);
  const client = await given;
  const back = once(socket, 'message');
  socket.send('text');
  assert.deepEqual(await back, [Buffer.from('text'), false]);
  const closed = once(client, 'close');
  socket.close();
  await closed;
  await new Promise((resolve) => server.close(resolve));
});

test('over TLS of Node', async (t) => {
  const { cert, key } = createCertificate();
  const https = createSecureServer({ cert, key });
  const port = await listen(t, https);
  const secure = [];
  const verifyClient = (info) => secure.push(info.secure) > 0;
  new WebSocketServer({ server: https, verifyClient }).on('connection', echo);
  for (const Client of [theirs.WebSocket, WebSocket]) {
    const socket = new Client(`wss://127.0.0.1:${port}`, { ca: cert });
    await once(socket, 'open');
    const back = once(socket, 'message');
    const large = Buffer.alloc(1 << 20, 5);
    socket.send(large);
    assert.deepEqual(await back, [large, true]);
    const closed = once(socket, 'close');
    socket.close(1000);
    assert.equal((await closed)[0], 1000);
  }
  assert.deepEqual(secure, [true, true]);
});

test('on a unix-domain socket, both ends', {
  skip: process.platform === 'win32' && 'no such sockets here',
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'webwire-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'socket');
  const http = createServer();
  http.listen(path);
  await once(http, 'listening');
  t.after(() => http.close());
  const server = new WebSocketServer({ server: http });
  assert.equal(server.address(), path);
  server.on('connection', (socket, { url }) => socket.send(url));
  for (const Client of [theirs.WebSocket, WebSocket]) {
    const socket = new Client(`ws+unix:${path}:/there?query`);
    assert.deepEqual(await once(socket, 'message'), [Buffer.from('/there?query'), false]);
    const closed = once(socket, 'close');
    socket.close();
    await closed;
  }
});

test('headers can be seen and added before the answer', async (t) => {
  const { url, server } = await serve(t, ours);
  server.on('headers', (lines, { url: path }) => {
    assert.equal(lines[0], 'HTTP/1.1 101 Switching Protocols');
    lines.push(`X-Path: ${path}`, 'Set-Cookie: a=b', 'Set-Cookie: c=d: e');
  });
  const socket = new theirs.WebSocket(`${url}there`);
  const opened = once(socket, 'open');
  const [response] = await once(socket, 'upgrade');
  assert.equal(response.headers['x-path'], '/there');
  assert.deepEqual(response.headers['set-cookie'], ['a=b', 'c=d: e']);
  await opened;
  socket.close();
});

test('handleProtocols chooses, or none; options may be changed later', async (t) => {
  const { url, server } = await serve(t, ours, { handleProtocols: (offered) => [...offered].at(-1) });
  assert.equal((await connect(t, url, ['a', 'b'])).protocol, 'b');
  server.options.handleProtocols = () => false;
  const socket = new theirs.WebSocket(url, ['a']);
  assert.equal((await once(socket, 'error'))[0].message, 'Server sent no subprotocol');
});

test('verifyClient, at once or later, with a status of its own', async (t) => {
  const seen = [];
  for (const [verifyClient, expected] of [
    [(info) => seen.push(info.origin) === 0, 'Unexpected server response: 401'],
    [(_info, verified) => verified(false), 'Unexpected server response: 401'],
    [
      (_info, verified) => setImmediate(verified, false, 418, 'tea', { 'X-Tea': 'yes' }),
      'Unexpected server response: 418',
    ],
    [(_info, verified) => setImmediate(verified, true), undefined],
    [() => true, undefined],
  ]) {
    const { url } = await serve(t, ours, { verifyClient });
    const socket = new theirs.WebSocket(url, { origin: 'https://example.org' });
    const outcome = await new Promise((resolve) => {
      socket.on('open', () => resolve(undefined)).on('error', ({ message }) => resolve(message));
    });
    assert.equal(outcome, expected);
    socket.terminate();
  }
  assert.deepEqual(seen, ['https://example.org']);
});

test('what is no handshake is answered so, or given to wsClientError', async (t) => {
  const { server } = await serve(t, ours);
  const { port } = server.address();
  const without = (name) => HANDSHAKE.filter((line) => !line.toLowerCase().startsWith(name));
  const wrong = [
    ['POST / HTTP/1.1', HANDSHAKE, /^HTTP\/1\.1 405 .*Invalid HTTP method$/s],
    [undefined, [...without('upgrade'), 'Upgrade: other'], /^HTTP\/1\.1 400 .*Invalid Upgrade header$/s],
    [undefined, without('sec-websocket-key'), /^HTTP\/1\.1 400 .*Missing or invalid Sec-WebSocket-Key header$/s],
    [undefined, without('sec-websocket-version'), /^HTTP\/1\.1 400 .*Sec-WebSocket-Version: 13.*header$/s],
    [undefined, [...HANDSHAKE, 'Sec-WebSocket-Protocol: a,,b'], /^HTTP\/1\.1 400 .*Sec-WebSocket-Protocol header$/s],
  ];
  for (const [first, lines, expected] of wrong) assert.match(await answer(t, port, lines, first), expected);
  server.on('wsClientError', (error, socket, { method }) => socket.end(`${method} ${error.message}`));
  assert.equal(await answer(t, port, without('sec-websocket-key')), 'GET Missing or invalid Sec-WebSocket-Key header');
});

test('sockets are of the class that is asked for', async (t) => {
  class Special extends WebSocket {
    get special() {
      return true;
    }
  }
  const { url, server } = await serve(t, ours, { WebSocket: Special });
  await connect(t, url);
  const [client] = server.clients;
  assert.ok(client.special);
});

test('maxPayload and autoPong hold for its sockets', async (t) => {
  const { url, server } = await serve(t, ours, { maxPayload: 10, autoPong: false });
  const socket = await connect(t, url);
  const [client] = server.clients;
  const { closed } = emitted(client);
  socket.on('error', () => {});
  const code = once(socket, 'close');
  socket.ping('p');
  socket.send('x'.repeat(11));
  const [ping, [, error], close] = await closed;
  assert.deepEqual(ping, ['ping', Buffer.from('p')]);
  assert.equal(error.code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
  assert.deepEqual(close, ['close', 1006, '']);
  assert.equal((await code)[0], 1009);
});

test('a server that is closed answers 503', async (t) => {
  const http = createServer();
  const port = await listen(t, http);
  const server = new WebSocketServer({ noServer: true });
  http.on('upgrade', (request, socket, head) => server.handleUpgrade(request, socket, head, () => assert.fail()));
  server.close();
  const socket = new theirs.WebSocket(`ws://127.0.0.1:${port}`);
  assert.equal((await once(socket, 'error'))[0].message, 'Unexpected server response: 503');
});

test('many clients at once, each with its own messages', async (t) => {
  const { url } = await serve(t, ours, {}, echo);
  await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const socket = await connect(t, url);
      const back = once(socket, 'message');
      socket.send(String(index));
      assert.equal(String((await back)[0]), String(index));
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    }),
  );
});
