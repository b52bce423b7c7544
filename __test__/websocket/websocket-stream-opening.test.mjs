// WebSocketStream: its constructor and its opening handshake. https://whatpr.org/websockets/48.html#the-websocketstream-interface

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { test } from 'node:test';
import { createCertificate } from '../helpers/certificate.mjs';
import {
  all,
  connected,
  echo,
  isWebSocketError,
  listening,
  readUntil,
  reasonOf,
  tcpServer,
  WebSocketStream,
} from '../helpers/websocket-ends.mjs';

test('opened has the streams, the protocol and the extensions', async (t) => {
  const { url, server } = await listening(t);
  const requests = server.incomingRequests.getReader();
  const stream = new WebSocketStream(url.replace('ws', 'http'), { protocols: ['a', 'b'] });
  assert.equal(stream.url, url);
  const { value: request } = await requests.read();
  assert.deepEqual(request.protocols, ['a', 'b']);
  await request.accept({ protocol: 'b' });
  const info = await stream.opened;
  assert.deepEqual(Object.keys(info), ['extensions', 'protocol', 'readable', 'writable']);
  assert.equal(info.protocol, 'b');
  assert.ok(info.readable instanceof ReadableStream && info.writable instanceof WritableStream);
  assert.equal(stream.opened, stream.opened);
  stream.close();
  await stream.closed;
});

test('what the constructor refuses', () => {
  const syntax = { name: 'SyntaxError' };
  for (const url of [
    'foo:',
    '',
    'ftp://localhost/',
    'ws://localhost/#',
    'ws://localhost/#a',
    'ws://localhost:65536/',
  ]) {
    assert.throws(() => new WebSocketStream(url), syntax, url);
  }
  assert.throws(() => new WebSocketStream(), TypeError);
  const url = 'ws://localhost/';
  for (const protocols of [['a', 'a'], ['a', 'A'], [''], ['a b'], ['é']]) {
    assert.throws(() => new WebSocketStream(url, { protocols }), syntax);
  }
  for (const options of [
    1,
    true,
    { protocols: 'a' },
    { protocols: 1 },
    { protocols: [Symbol()] },
    { signal: null },
    { signal: {} },
    { signal: AbortSignal.prototype },
    { headers: { 'a\r\n': 'b' } },
    { headers: { a: 'b\r\nc: d' } },
    { headers: { Upgrade: 'h2c' } },
    { ca: 1 },
  ]) {
    assert.throws(() => new WebSocketStream(url, options), TypeError);
  }
});

test('headers and Node options are those of WebSocket', async (t) => {
  const { cert, key } = createCertificate();
  const { url, server } = await listening(t, () => {}, { cert, key });
  const requests = server.incomingRequests.getReader();
  const refused = new WebSocketStream(url.replace('127.0.0.1', 'localhost'));
  isWebSocketError(await reasonOf(refused.opened), null);
  const options = { ca: cert, headers: { 'X-One': 'two', Origin: 'https://example.org' } };
  const stream = new WebSocketStream(url.replace('127.0.0.1', 'localhost'), options);
  const { value: request } = await requests.read();
  assert.equal(request.headers.get('x-one'), 'two');
  assert.equal(request.origin, 'https://example.org');
  await request.accept();
  await stream.opened;
  stream.close();
  await stream.closed;
});

test('a handshake that fails rejects both promises, and nobody has to look at them', async (t) => {
  const { url } = await tcpServer(t, async (socket) => {
    await readUntil(socket, '\r\n\r\n');
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  });
  const stream = new WebSocketStream(url);
  isWebSocketError(await reasonOf(stream.opened), null);
  isWebSocketError(await reasonOf(stream.closed), 1006);
  const unwatched = new WebSocketStream(url);
  await reasonOf(unwatched.opened);
  // A port that Fetch blocks: nothing is dialled.
  const blocked = new WebSocketStream('ws://127.0.0.1:25/');
  isWebSocketError(await reasonOf(blocked.opened), null);
  isWebSocketError(await reasonOf(blocked.closed), 1006);
});

test('a close during the handshake fails it', async (t) => {
  const { url, server } = await tcpServer(t, () => {});
  const stream = new WebSocketStream(url);
  const [socket] = await once(server, 'connection');
  const ended = all(socket);
  stream.close({ closeCode: 4000, reason: 'ignored' });
  isWebSocketError(await reasonOf(stream.opened), null);
  isWebSocketError(await reasonOf(stream.closed), 1006);
  await ended;
  stream.close();
});

test('an aborted signal: nothing is dialled', async (t) => {
  const { url, connections } = await tcpServer(t, (socket) => socket.end());
  const reason = new Error('why');
  const stream = new WebSocketStream(url, { signal: AbortSignal.abort(reason) });
  assert.equal(await reasonOf(stream.opened), reason);
  assert.equal(await reasonOf(stream.closed), reason);
  stream.close();
  stream.ref();
  stream.unref();
  await reasonOf(new WebSocketStream(url).opened);
  assert.equal(connections(), 1);
});

test('a signal that aborts during the handshake ends it with its reason', async (t) => {
  const { url, server } = await tcpServer(t, () => {});
  const controller = new AbortController();
  const stream = new WebSocketStream(url, { signal: controller.signal });
  const [socket] = await once(server, 'connection');
  const ended = all(socket);
  controller.abort();
  const error = await reasonOf(stream.opened);
  assert.equal(error, controller.signal.reason);
  assert.equal(await reasonOf(stream.closed), error);
  await ended;
});

test('after the handshake the signal does nothing', async (t) => {
  const controller = new AbortController();
  const { stream, readable, writable } = await connected(t, echo, { signal: controller.signal });
  controller.abort();
  const writer = writable.getWriter();
  await writer.write('heard');
  assert.equal((await readable.getReader().read()).value, 'heard');
  stream.close();
  assert.equal((await stream.closed).closeCode, 1005);
});

test('the operator learns why it failed', async (t) => {
  const messages = [];
  for (const name of ['open', 'error', 'close']) {
    const listener = (message) => messages.push([name, message]);
    subscribe(`webwire:websocket:${name}`, listener);
    t.after(() => unsubscribe(`webwire:websocket:${name}`, listener));
  }
  const { url } = await tcpServer(t, async (socket) => {
    await readUntil(socket, '\r\n\r\n');
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  });
  const failing = new WebSocketStream(url);
  await reasonOf(failing.closed);
  const { stream } = await connected(t);
  stream.close({ closeCode: 3000 });
  await stream.closed;
  const ours = messages.filter(([, { websocket }]) => websocket === failing || websocket === stream);
  assert.deepEqual(
    ours.map(([name, { code, error }]) => [name, code ?? error?.status]),
    [
      ['error', 403],
      ['close', 1006],
      ['open', undefined],
      ['close', 3000],
    ],
  );
});
