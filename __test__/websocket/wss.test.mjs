// TLS: what is trusted, and what is not. https://websockets.spec.whatwg.org/#concept-websocket-establish

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { createServer } from 'node:tls';
import { createCertificate } from '../helpers/certificate.mjs';
import { echo, FAILED, heard, listening, next, WebSocket, WebSocketServer } from '../helpers/websocket-ends.mjs';

const { cert, key } = createCertificate();

test('messages over TLS, both ends ours', async (t) => {
  const { url } = await listening(t, echo, { cert, key });
  assert.match(url, /^wss:/);
  const socket = new WebSocket(url, { ca: cert });
  socket.binaryType = 'nodebuffer';
  await next(socket, 'open');
  const large = Buffer.alloc(3 << 20, 'abc');
  for (const data of ['text', large, Buffer.from([1, 2, 3]), 'x'.repeat(100_000)]) {
    socket.send(data);
    assert.deepEqual((await next(socket, 'message')).data, data);
  }
  socket.close(1000, 'done');
  const { code, reason, wasClean } = await next(socket, 'close');
  assert.deepEqual([code, reason, wasClean], [1000, 'done', true]);
  assert.equal(socket.bufferedAmount, 0);
});

test('certificates that are not trusted', async (t) => {
  const { url, port } = await listening(t, echo, { cert, key });
  assert.deepEqual(await heard(new WebSocket(url)).closed, FAILED, 'self-signed');
  const other = createCertificate();
  assert.deepEqual(await heard(new WebSocket(url, { ca: other.cert })).closed, FAILED, 'another authority');
  const named = new WebSocket(`wss://localhost:${port}/`, { ca: cert, servername: 'example.com' });
  assert.deepEqual(await heard(named).closed, FAILED, 'another name');
  const wrong = createCertificate({ names: ['example.com'] });
  const elsewhere = await listening(t, echo, wrong);
  const misnamed = new WebSocket(`wss://localhost:${elsewhere.port}/`, { ca: wrong.cert });
  assert.deepEqual(await heard(misnamed).closed, FAILED, 'wrong name');
  const renamed = new WebSocket(`wss://localhost:${elsewhere.port}/`, { ca: wrong.cert, servername: 'example.com' });
  await next(renamed, 'open');
  renamed.close();
});

test('several authorities, as text and as bytes', async (t) => {
  const { url } = await listening(t, echo, { cert, key });
  const other = createCertificate();
  const both = `${other.cert}\n${cert}`;
  for (const ca of [[other.cert, cert], [Buffer.from(cert)], [Buffer.from(both)], Buffer.from(cert), both]) {
    const socket = new WebSocket(url, { ca });
    await next(socket, 'open');
    socket.close();
  }
  assert.deepEqual(await heard(new WebSocket(url, { ca: [other.cert] })).closed, FAILED);
  for (const ca of [[], [''], [1], [cert, null], {}]) assert.throws(() => new WebSocket(url, { ca }), TypeError);
});

test('rejectUnauthorized: false takes any certificate', async (t) => {
  const { url } = await listening(t, echo, { cert, key });
  const socket = new WebSocket(url, { rejectUnauthorized: false });
  await next(socket, 'open');
  socket.close();
});

test('TLS 1.1, plain text and a plain client', async (t) => {
  const old = createServer({ cert, key, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
  old.on('tlsClientError', () => {});
  old.listen(0, '127.0.0.1');
  await once(old, 'listening');
  t.after(() => old.close());
  assert.deepEqual(await heard(new WebSocket(`wss://127.0.0.1:${old.address().port}/`, { ca: cert })).closed, FAILED);
  const plain = await listening(t, echo);
  assert.deepEqual(await heard(new WebSocket(`wss://127.0.0.1:${plain.port}/`, { ca: cert })).closed, FAILED);
  const secure = await listening(t, echo, { cert, key });
  assert.deepEqual(await heard(new WebSocket(`ws://127.0.0.1:${secure.port}/`)).closed, FAILED);
  const still = new WebSocket(secure.url, { ca: cert });
  await next(still, 'open');
  still.close();
});

test('a server needs certificate and key together', () => {
  for (const options of [{ cert }, { key }, { cert: 'x', key }, { cert, key: 'x' }, { cert: 1, key }]) {
    assert.throws(() => new WebSocketServer(options), TypeError);
  }
});
