// Where a WebSocketServer listens of its own: TLS with several certificates, and paths of the file system.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from 'node:tls';
import Ws from 'ws';
import { createCertificate } from '../helpers/certificate.mjs';
import { echo, FAILED, heard, listening, next, WebSocket, WebSocketServer } from '../helpers/websocket-ends.mjs';

const [one, two, three] = ['one.example', 'two.example', '*.three.example'].map((name) =>
  createCertificate({ names: [name, 'localhost'] }),
);
const fingerprint = ({ cert }) => new X509Certificate(cert).fingerprint256;

/** The certificate that a client gets who asks for this name. */
async function certificateFor(port, servername) {
  const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerX509Certificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}

test('a certificate for each name, and one for all others', async (t) => {
  const certificates = { 'TWO.example': two, '*.three.example': three };
  const { port } = await listening(t, () => {}, { ...one, certificates });
  assert.equal(await certificateFor(port, 'one.example'), fingerprint(one));
  assert.equal(await certificateFor(port, 'two.example'), fingerprint(two));
  assert.equal(await certificateFor(port, 'a.three.example'), fingerprint(three));
  assert.equal(await certificateFor(port, 'a.b.three.example'), fingerprint(one));
  const named = await listening(t, () => {}, { certificates });
  await assert.rejects(certificateFor(named.port, 'one.example'));
});

test('setCertificate() is for the connections to come', async (t) => {
  const { server, port } = await listening(t, (socket) => echo(socket), one);
  const url = `wss://127.0.0.1:${port}`;
  const before = new WebSocket(url, { ca: one.cert });
  await next(before, 'open');
  for (const wrong of [{}, undefined, { cert: two.cert }, { cert: two.cert, key: one.key }, { cert: 'x', key: 'y' }]) {
    assert.throws(() => server.setCertificate(wrong), TypeError);
  }
  assert.equal(await certificateFor(port, 'localhost'), fingerprint(one));
  server.setCertificate({ ...two, certificates: { 'three.example': three } });
  assert.equal(await certificateFor(port, 'localhost'), fingerprint(two));
  assert.equal(await certificateFor(port, 'three.example'), fingerprint(three));
  before.send('still open');
  assert.equal((await next(before, 'message')).data, 'still open');
  const after = new WebSocket(url, { ca: two.cert });
  await next(after, 'open');
  const plain = new WebSocketServer({ host: '127.0.0.1' });
  assert.throws(() => plain.setCertificate(one), { name: 'InvalidStateError' });
  await plain.close();
});

test('request.tls says what the client asked for', async (t) => {
  const { port } = await listening(t, (socket, { tls, url }) => socket.send(JSON.stringify({ ...tls, url })), one);
  const socket = new WebSocket(`wss://localhost:${port}/a`, { ca: one.cert });
  assert.deepEqual(JSON.parse((await next(socket, 'message')).data), {
    servername: 'localhost',
    protocol: 'TLSv1.3',
    authorized: false,
    url: '/a',
  });
  const plain = await listening(t, (accepted, { tls }) => accepted.send(typeof tls));
  assert.equal((await next(new WebSocket(plain.url), 'message')).data, 'undefined');
});

test('client certificates: required, or asked for and marked', async (t) => {
  const say = (socket, { tls }) => {
    socket.send(`${tls.authorized} ${tls.peerCertificate?.fingerprint256}`);
  };
  const clients = { requestCert: true, ca: two.cert };
  const strict = await listening(t, say, { ...one, ...clients });
  const lenient = await listening(t, say, { ...one, ...clients, rejectUnauthorized: false });
  const said = async ({ port }, identity) => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}`, { ca: one.cert, ...identity });
    return await Promise.race([
      next(socket, 'message').then(({ data }) => data),
      next(socket, 'close').then(({ code }) => code),
    ]);
  };
  const [known, unknown] = [
    { cert: two.cert, key: two.key },
    { cert: three.cert, key: three.key },
  ];
  assert.equal(await said(strict, known), `true ${fingerprint(two)}`);
  assert.equal(await said(strict, unknown), 1006);
  assert.equal(await said(strict, {}), 1006);
  assert.equal(await said(lenient, known), `true ${fingerprint(two)}`);
  assert.equal(await said(lenient, unknown), `false ${fingerprint(three)}`);
  assert.equal(await said(lenient, {}), 'false undefined');
});

test('options of TLS', () => {
  for (const options of [{ requestCert: true }, { certificates: 1 }, { certificates: { a: { cert: one.cert } } }]) {
    assert.throws(() => new WebSocketServer({ host: '127.0.0.1', ...options }), TypeError);
  }
  assert.throws(() => new WebSocketServer({ ...one, requestCert: true, ca: 'x' }), TypeError);
  assert.throws(() => new WebSocketServer({ noServer: true, ...one }), TypeError);
  assert.throws(() => new WebSocketServer({ noServer: true, requestCert: true }), TypeError);
  assert.throws(() => new WebSocketServer({ socketPath: '/x', port: 1 }), TypeError);
  assert.throws(() => new WebSocketServer({ socketPath: '' }), TypeError);
});

test('a unix-domain socket', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'webwire-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'socket');
  for (const [tls, scheme] of [
    [{}, 'ws'],
    [one, 'wss'],
  ]) {
    const server = new WebSocketServer({ socketPath: path, ...tls });
    t.after(() => server.close({ timeoutMs: 0 }));
    server.onconnection = ({ socket, request }) => {
      assert.equal(request.remoteAddress, undefined);
      echo(socket);
      assert.equal(socket.url.startsWith(`${scheme}:`), true);
    };
    await server.ready;
    assert.deepEqual(server.address(), { address: path, family: 'Unix', port: 0 });
    const second = new WebSocketServer({ socketPath: path });
    await assert.rejects(second.ready, { code: 'EADDRINUSE' });
    await second.close();
    const client = tls.cert
      ? new Ws('wss://localhost', { createConnection: () => connect({ path, ca: tls.cert, servername: 'localhost' }) })
      : new Ws(`ws+unix:${path}:/`);
    await once(client, 'open');
    client.send('hello');
    assert.equal(String((await once(client, 'message'))[0]), 'hello');
    await server.close();
    assert.equal(existsSync(path), false);
  }
});

test('a client that speaks no TLS, or ends within it, does not disturb others', async (t) => {
  const { port } = await listening(t, (socket) => socket.send('hello'), one);
  assert.deepEqual(await heard(new WebSocket(`ws://127.0.0.1:${port}`)).closed, FAILED);
  const socket = new WebSocket(`wss://127.0.0.1:${port}`, { ca: one.cert });
  assert.equal((await next(socket, 'message')).data, 'hello');
});

test('a server that is given no certificate by name does not listen without TLS', () => {
  assert.throws(() => new WebSocketServer({ host: '127.0.0.1', certificates: {} }), TypeError);
});
