// Options of the client of `webwire/ws`, as those of `ws` itself where both have them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { createServer as createSecureServer, Agent as SecureAgent } from 'node:https';
import { test } from 'node:test';
import { createCertificate } from '../helpers/certificate.mjs';
import { connectProxy } from '../helpers/proxies.mjs';
import { frame, frameServer } from '../helpers/websocket-ends.mjs';
import { echo, emitted, ours, serve, theirs } from '../helpers/ws.mjs';

const BOTH = Object.entries({ ours, theirs });

/** Opens a connection, and closes it. */
async function opens({ WebSocket }, url, options) {
  const socket = new WebSocket(url, options);
  await once(socket, 'open');
  const closed = once(socket, 'close');
  socket.close();
  await closed;
}

/** The error of a connection that does not open. */
async function fails({ WebSocket }, url, options) {
  const events = await emitted(new WebSocket(url, options)).closed;
  assert.deepEqual(
    events.map(([type]) => type),
    ['error', 'close'],
  );
  return events[0][1];
}

const authority = createCertificate({ authority: true });
const ca = authority.cert;
const identity = createCertificate({ names: ['name.test', 'localhost'], issuer: authority });
const person = createCertificate({ names: ['person.test'], issuer: authority });

/** A server over TLS that says what it knows of each client; with `requires` it lets only those with a certificate in. */
async function secureServer(t, requires = false) {
  const { cert, key } = identity;
  const https = createSecureServer({ cert, key, ca, requestCert: true, rejectUnauthorized: requires });
  https.on('tlsClientError', () => {});
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  const server = new theirs.WebSocketServer({ server: https });
  t.after(() => {
    for (const socket of server.clients) socket.terminate();
    https.close();
  });
  const clients = [];
  server.on('connection', (_socket, { socket }) => {
    const { authorized, servername } = socket;
    clients.push({ authorized, servername, subject: socket.getPeerCertificate().subject?.CN });
  });
  const { port } = https.address();
  return { clients, url: `wss://127.0.0.1:${port}/`, port };
}

for (const [name, implementation] of BOTH) {
  test(`auth, unless the URL or a header says who it is (${name})`, async (t) => {
    const seen = [];
    const { url } = await serve(t, theirs, {}, (_socket, { headers }) => seen.push(headers.authorization));
    const named = url.replace('//', '//us%65r:p%C3%A4ss@');
    await opens(implementation, url, { auth: 'user:päss' });
    await opens(implementation, named, { auth: 'other:one' });
    await opens(implementation, url, { auth: 'user:päss', headers: { authorization: 'Mine' } });
    await opens(implementation, named, { headers: { Authorization: 'Mine' } });
    await opens(implementation, url, { auth: '' });
    const basic = `Basic ${Buffer.from('user:päss').toString('base64')}`;
    assert.deepEqual(seen, [basic, basic, 'Mine', 'Mine', undefined]);
  });

  test(`lookup finds the address of a name; its error is the socket's (${name})`, async (t) => {
    const { server } = await serve(t, theirs);
    const url = `ws://name.invalid:${server.address().port}`;
    const names = [];
    await opens(implementation, url, {
      lookup(hostname, { all }, callback) {
        names.push(hostname);
        if (all) setImmediate(callback, null, [{ address: '127.0.0.1', family: 4 }]);
        else setImmediate(callback, null, '127.0.0.1', 4);
      },
    });
    assert.deepEqual(names, ['name.invalid']);
    const error = Object.assign(new Error('not today'), { code: 'ENOTFOUND' });
    const lookup = (_hostname, _options, callback) => setImmediate(callback, error);
    assert.equal(await fails(implementation, url, { lookup }), error);
  });

  test(`localAddress (${name})`, async (t) => {
    const seen = [];
    const { url } = await serve(t, theirs, {}, (_socket, { socket }) => seen.push(socket.remoteAddress));
    const localAddress = process.platform === 'linux' ? '127.0.0.3' : '127.0.0.1';
    await opens(implementation, url, { localAddress });
    assert.deepEqual(seen, [localAddress]);
    assert.equal((await fails(implementation, url, { localAddress: '192.0.2.1' })).code, 'EADDRNOTAVAIL');
  });

  test(`ca, servername and rejectUnauthorized (${name})`, async (t) => {
    const { clients, url, port } = await secureServer(t);
    await opens(implementation, url, { ca });
    await opens(implementation, url, { ca: [person.cert, Buffer.from(ca)] });
    await opens(implementation, `wss://localhost:${port}/`, { ca });
    await opens(implementation, url, { ca, servername: 'name.test' });
    await opens(implementation, url, { ca, servername: '' });
    await opens(implementation, url, { rejectUnauthorized: false });
    await opens(implementation, url, { ca, servername: 'other.test', rejectUnauthorized: false });
    assert.deepEqual(
      clients.map(({ servername }) => servername || ''),
      ['', '', 'localhost', 'name.test', '', '', 'other.test'],
    );
    assert.ok((await fails(implementation, url, {})) instanceof Error);
    assert.ok((await fails(implementation, url, { ca: person.cert })) instanceof Error);
    const { code } = await fails(implementation, url, { ca, servername: 'other.test' });
    assert.equal(code, 'ERR_TLS_CERT_ALTNAME_INVALID');
    assert.equal(clients.length, 7);
  });

  test(`cert and key say who the client is (${name})`, async (t) => {
    const { cert, key } = person;
    const { clients, url } = await secureServer(t);
    await opens(implementation, url, { ca });
    await opens(implementation, url, { ca, cert, key });
    await opens(implementation, url, { ca, cert: Buffer.from(cert), key: Buffer.from(key) });
    const subject = 'webwire test';
    assert.deepEqual(clients, [
      { authorized: false, servername: false, subject: undefined },
      { authorized: true, servername: false, subject },
      { authorized: true, servername: false, subject },
    ]);
    const strict = await secureServer(t, true);
    await opens(implementation, strict.url, { ca, cert, key });
    assert.ok((await fails(implementation, strict.url, { ca })) instanceof Error);
    assert.equal(strict.clients.length, 1);
  });

  test(`the TLS options of Node's agent, which come before those of the socket (${name})`, async (t) => {
    const { cert, key } = person;
    const { clients, url } = await secureServer(t);
    const wrong = person.cert;
    await opens(implementation, url, { agent: new SecureAgent({ ca }) });
    await opens(implementation, url, { agent: new SecureAgent({ ca }), ca: wrong });
    await opens(implementation, url, { agent: new SecureAgent({ rejectUnauthorized: false }) });
    await opens(implementation, url, { agent: new SecureAgent({ ca, cert, key, servername: 'name.test' }) });
    await opens(implementation, url, { agent: new SecureAgent({ cert, key }), ca, servername: 'name.test' });
    assert.deepEqual(
      clients.map(({ authorized, servername }) => [authorized, servername || '']),
      [
        [false, ''],
        [false, ''],
        [false, ''],
        [true, 'name.test'],
        [true, 'name.test'],
      ],
    );
    for (const options of [
      { agent: new SecureAgent({ ca: wrong }), ca },
      { agent: new SecureAgent({ rejectUnauthorized: true }), rejectUnauthorized: false },
    ]) {
      assert.ok((await fails(implementation, url, options)) instanceof Error);
    }
    const plain = await serve(t, theirs);
    await opens(implementation, plain.url, { agent: new Agent({ keepAlive: true }) });
    await opens(implementation, plain.url, { agent: false });
  });

  test(`closeTimeout: a peer that does not answer a close is left, on both ends (${name})`, async (t) => {
    const { url } = await frameServer(t, () => {});
    const socket = new implementation.WebSocket(url, { closeTimeout: 50 });
    const { closed } = emitted(socket);
    socket.on('open', () => socket.close(1000));
    assert.deepEqual(await closed, [['open'], ['close', 1006, '']]);
  });
}

test('headers and origin that would end a line are refused, before anything is sent', () => {
  for (const evil of ['\r\nX-Evil: 1', '\nX-Evil: 1', '\rX-Evil: 1', '\0X-Evil', '\r\n\r\nX-Evil']) {
    for (const options of [
      { headers: { 'X-A': `b${evil}` } },
      { headers: { 'X-A': ['a', `b${evil}`] } },
      { headers: { [`X${evil}`]: 'b' } },
      { headers: { Host: `a${evil}` } },
      { headers: { Cookie: ['a=b', `c=d${evil}`] } },
      { origin: `https://example.org${evil}` },
    ]) {
      for (const { WebSocket } of [ours, theirs]) {
        assert.throws(() => new WebSocket('ws://127.0.0.1:1', options), TypeError);
      }
    }
  }
});

test('a localAddress that is no address is refused', () => {
  assert.throws(() => new ours.WebSocket('ws://127.0.0.1:1', { localAddress: 'name' }), TypeError);
});

test('what can not be kept of an agent is refused', () => {
  class Special extends SecureAgent {}
  for (const agent of [new SecureAgent({ ciphers: 'AES128-SHA' }), new SecureAgent({ pfx: 'x' }), new Special()]) {
    assert.throws(() => new ours.WebSocket('wss://localhost', { agent }), { name: 'NotSupportedError' });
  }
});

test('proxy: the way there, which only this package has', async (t) => {
  const proxy = await connectProxy(t);
  const { server } = await serve(t, theirs, {}, echo);
  const { port } = server.address();
  const socket = new ours.WebSocket(`ws://name.invalid:${port}`, { proxy: `http://user:word@127.0.0.1:${proxy.port}` });
  await once(socket, 'open');
  socket.send('text');
  assert.deepEqual(await once(socket, 'message'), [Buffer.from('text'), false]);
  const closed = once(socket, 'close');
  socket.close();
  await closed;
  const [{ url, headers }] = proxy.requests;
  assert.equal(url, `name.invalid:${port}`);
  assert.equal(headers['proxy-authorization'], `Basic ${btoa('user:word')}`);
  assert.throws(() => new ours.WebSocket('ws+unix:/path', { proxy: 'http://localhost' }), TypeError);
  assert.throws(() => new ours.WebSocket('ws://localhost', { proxy: 'ftp://localhost' }), TypeError);
});

test('skipUTF8Validation: here text is always checked', async (t) => {
  const { url } = await frameServer(t, (peer) => peer.write(frame(1, [0xff])));
  for (const skipUTF8Validation of [true, false]) {
    const [, [, { code }], close] = await emitted(new ours.WebSocket(url, { skipUTF8Validation })).closed;
    assert.deepEqual([code, close], ['WS_ERR_INVALID_UTF8', ['close', 1006, '']]);
  }
  const unchecked = new theirs.WebSocket(url, { skipUTF8Validation: true });
  assert.deepEqual(await once(unchecked, 'message'), [Buffer.from([0xff]), false]);
  unchecked.terminate();
});

test('allowSynchronousEvents: here each event is a task of its own', async (t) => {
  const { url } = await frameServer(t, (peer) => peer.write(Buffer.concat([frame(1, '1'), frame(1, '2')])));
  for (const [{ WebSocket }, allowSynchronousEvents] of [
    [ours, true],
    [ours, false],
    [theirs, false],
  ]) {
    const socket = new WebSocket(url, { allowSynchronousEvents });
    const order = [];
    await new Promise((resolve) => {
      socket.on('message', async (data) => {
        order.push(`${data}`);
        await null;
        order.push(`behind ${data}`);
        if (order.length === 4) resolve();
      });
    });
    assert.deepEqual(order, ['1', 'behind 1', '2', 'behind 2']);
    socket.terminate();
  }
});
