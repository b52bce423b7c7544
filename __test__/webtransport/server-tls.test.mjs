// Who a WebTransportServer is, and who its clients are: names, certificates that are replaced, client certificates.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import { next, readAll, startServer, writeAll } from './pair.mjs';

const { WebTransport } = webwire;

const [one, two, three] = ['one.example', 'two.example', '*.three.example'].map((name) =>
  createCertificate({ names: [name, 'localhost', '127.0.0.1'] }),
);
const refused = { name: 'WebTransportError', source: 'session' };
const fingerprint = ({ cert }) => new X509Certificate(cert).fingerprint256;
const accepting = { onRequest: (request) => request.accept() };

/** Connects, asks for a name, and trusts one certificate. */
const client = (server, { cert }, options) =>
  new WebTransport(`https://127.0.0.1:${server.address().port}/`, { ca: cert, ...options });

test('a certificate for each name, and one for all others', async (context) => {
  const certificates = { 'TWO.example': two, '*.three.example': three };
  const { server } = await startServer(context, { ...one, ...accepting, certificates });
  await client(server, one).ready;
  await client(server, one, { servername: 'one.example' }).ready;
  await client(server, two, { servername: 'two.example' }).ready;
  await client(server, three, { servername: 'a.three.example' }).ready;
  await assert.rejects(client(server, one, { servername: 'two.example' }).ready, refused);
});

test('setCertificate() is for the connections to come', async (context) => {
  const { server } = await startServer(context, { ...one, ...accepting });
  const before = client(server, one);
  await before.ready;
  for (const wrong of [{}, null, { cert: two.cert }, { cert: two.cert, key: one.key }, { cert: 'x', key: 'y' }]) {
    assert.throws(() => server.setCertificate(wrong), TypeError);
  }
  await client(server, one).ready;
  server.setCertificate({ ...two, certificates: { localhost: three } });
  await client(server, two).ready;
  await client(server, three, { servername: 'localhost' }).ready;
  await assert.rejects(client(server, one).ready, refused);
  // The session that was there goes on.
  const { writable } = await before.createBidirectionalStream();
  await writeAll(writable, new Uint8Array(1));
});

test('request.tls says what the client asked for', async (context) => {
  const listener = await startServer(context, one);
  const asking = client(listener.server, one, { servername: 'localhost' });
  const request = await listener.request();
  assert.deepEqual(
    { ...request.tls },
    {
      servername: 'localhost',
      protocol: 'TLSv1.3',
      authorized: false,
      peerCertificate: undefined,
    },
  );
  request.reject(404);
  await assert.rejects(asking.ready, refused);
});

test('client certificates: required, or asked for and marked', async (context) => {
  const onRequest = async (request) => {
    const { authorized, peerCertificate } = request.tls;
    const session = await request.accept();
    const stream = await session.createUnidirectionalStream();
    await writeAll(stream, Buffer.from(`${authorized} ${peerCertificate?.fingerprint256}`));
  };
  const clients = { ...one, onRequest, requestCert: true, ca: two.cert };
  const strict = await startServer(context, clients);
  const lenient = await startServer(context, { ...clients, rejectUnauthorized: false });
  const said = async ({ server }, identity) => {
    const session = client(server, one, identity && { cert: identity.cert, key: identity.key });
    const stream = await next(session.incomingUnidirectionalStreams);
    return (await readAll(stream)).toString();
  };
  assert.equal(await said(strict, two), `true ${fingerprint(two)}`);
  await assert.rejects(said(strict, three), refused);
  await assert.rejects(said(strict), refused);
  assert.equal(await said(lenient, two), `true ${fingerprint(two)}`);
  assert.equal(await said(lenient, three), `false ${fingerprint(three)}`);
  assert.equal(await said(lenient), 'false undefined');
});
