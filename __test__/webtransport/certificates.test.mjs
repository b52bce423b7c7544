// Whom a client trusts. https://www.w3.org/TR/webtransport/#custom-certificate-requirements

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import { NOT_ESTABLISHED, startServer } from './pair.mjs';

const { generateCertificate, WebTransport, WebTransportError } = webwire;

/** Whether a client with these options gets a session. */
async function connects(context, options, certificate = {}) {
  const listener = await startServer(context, certificate);
  const { port } = listener.server.address();
  const made = typeof options === 'function' ? options(listener) : options;
  const client = new WebTransport(`https://${made.host ?? '127.0.0.1'}:${port}/`, made);
  const serve = async () => (await listener.request())?.accept();
  serve().catch(() => {});
  try {
    await client.ready;
    client.close();
    return true;
  } catch (error) {
    // The same for all that can be wrong with a certificate.
    assert.ok(error instanceof WebTransportError);
    const { name, message, source } = error;
    assert.deepEqual({ name, message, source }, NOT_ESTABLISHED);
    return false;
  }
}

const sha256 = (value) => ({ algorithm: 'sha-256', value });
const wrong = (hash) => Uint8Array.from(hash, (byte, index) => (index === 31 ? byte ^ 1 : byte));

for (const [what, options, expected] of [
  ['the right hash', ({ hash }) => ({ serverCertificateHashes: [sha256(hash)] }), true],
  [
    'the right hash as ArrayBuffer',
    ({ hash }) => ({ serverCertificateHashes: [sha256(Uint8Array.from(hash).buffer)] }),
    true,
  ],
  ['the second of two', ({ hash }) => ({ serverCertificateHashes: [sha256(wrong(hash)), sha256(hash)] }), true],
  ['a wrong hash', ({ hash }) => ({ serverCertificateHashes: [sha256(wrong(hash))] }), false],
  ['a hash of 31 bytes', ({ hash }) => ({ serverCertificateHashes: [sha256(hash.subarray(1))] }), false],
  [
    'an unknown algorithm alone',
    ({ hash }) => ({ serverCertificateHashes: [{ algorithm: 'sha-1', value: hash }] }),
    false,
  ],
  [
    'an unknown algorithm beside',
    ({ hash }) => ({ serverCertificateHashes: [{ algorithm: 'x', value: hash }, sha256(hash)] }),
    true,
  ],
  [
    'a wrong hash and the right ca',
    ({ hash, cert }) => ({ ca: cert, serverCertificateHashes: [sha256(wrong(hash))] }),
    false,
  ],
  [
    'a wrong hash and rejectUnauthorized false',
    ({ hash }) => ({ rejectUnauthorized: false, serverCertificateHashes: [sha256(wrong(hash))] }),
    false,
  ],
  ['no hash, self-signed', {}, false],
  ['its certificate as ca', ({ cert }) => ({ ca: cert }), true],
  ['its certificate as ca, the name of a host', ({ cert }) => ({ host: 'localhost', ca: cert }), true],
  ['its certificate as ca, a wrong name', ({ cert }) => ({ ca: cert, servername: 'example.com' }), false],
  ['rejectUnauthorized false', { rejectUnauthorized: false }, true],
]) {
  test(`${what}: ${expected ? 'connects' : 'fails'}`, async (context) => {
    assert.equal(await connects(context, options), expected);
  });
}

for (const [what, { days, names }, expected] of [
  ['14 days', { days: 14 }, true],
  ['15 days', { days: 15 }, false],
  ['another name', { names: ['example.com'] }, true],
]) {
  test(`a hash and a certificate of ${what}: ${expected ? 'connects' : 'fails'}`, async (context) => {
    const { certificate, key, hash } = generateCertificate({ days, names });
    const options = { serverCertificateHashes: [sha256(hash)] };
    assert.equal(await connects(context, options, { cert: certificate, key }), expected);
  });
}

test('generateCertificate: names, times and what is none', () => {
  const read = (options) => {
    const { certificate, hash } = generateCertificate(options);
    const made = new X509Certificate(certificate);
    assert.equal(made.fingerprint256.replaceAll(':', '').toLowerCase(), Buffer.from(hash).toString('hex'));
    return made;
  };
  const { subjectAltName } = read({ names: ['a.example', '*.B.example', 'bücher.example', '10.0.0.1', '[::1]'] });
  const names = ['a.example', '*.b.example', 'xn--bcher-kva.example'].map((name) => `DNS:${name}`);
  const addresses = ['10.0.0.1', '0:0:0:0:0:0:0:1'].map((address) => `IP Address:${address}`);
  assert.equal(subjectAltName, [...names, ...addresses].join(', '));
  const { validFrom, validTo } = read({ days: 2 });
  assert.equal(Date.parse(validTo) - Date.parse(validFrom), 2 * 86_400_000);
  assert.ok(Date.parse(validFrom) < Date.now());
  for (const name of ['', 'a b', '*', '*.', 'a.*.b', '1.2.3.4.5:6', 'https://a']) {
    assert.throws(() => generateCertificate({ names: [name] }), TypeError, name);
  }
  for (const [days, error] of [
    [0, RangeError],
    [-1, RangeError],
    [Number.NaN, TypeError],
    [1e9, TypeError],
  ]) {
    assert.throws(() => generateCertificate({ days }), error, String(days));
  }
});

test('an expired certificate fails with its hash too', async (context) => {
  const { cert, key, hash } = createCertificate({ days: 0.5 });
  const options = { serverCertificateHashes: [sha256(hash)] };
  assert.equal(await connects(context, options, { cert, key }), false);
});

test('a chain of three under the ca connects; without its middle, or with another ca, it fails', async (context) => {
  const root = createCertificate({ authority: true });
  const one = createCertificate({ authority: true, issuer: root });
  const two = createCertificate({ authority: true, issuer: one });
  const { cert, key } = createCertificate({ issuer: two });
  const chain = (...certificates) => ({ cert: certificates.join(''), key });
  assert.equal(await connects(context, { ca: root.cert }, chain(cert, two.cert, one.cert)), true);
  assert.equal(await connects(context, { ca: root.cert }, chain(cert, two.cert)), false);
  const other = createCertificate({ authority: true });
  assert.equal(await connects(context, { ca: other.cert }, chain(cert, two.cert, one.cert)), false);
});

test('the hash of another certificate of the chain fails', async (context) => {
  const authority = createCertificate({ authority: true });
  const { cert, key } = createCertificate({ issuer: authority });
  const options = { serverCertificateHashes: [sha256(authority.hash)] };
  assert.equal(await connects(context, options, { cert: cert + authority.cert, key }), false);
});

for (const [what, days, expected] of [
  ['is valid now: connects', 10, true],
  ['has expired: fails', 0.5, false],
]) {
  test(`a certificate under the ca that ${what}`, async (context) => {
    const root = createCertificate({ authority: true });
    const { cert, key } = createCertificate({ issuer: root, days });
    assert.equal(await connects(context, { ca: root.cert }, { cert, key }), expected);
  });
}

test('a certificate without alternative names connects with its hash alone: names are not checked', async (context) => {
  const { cert, key, hash } = createCertificate({ alternatives: false, commonName: 'localhost' });
  assert.equal(await connects(context, { serverCertificateHashes: [sha256(hash)] }, { cert, key }), true);
  assert.equal(await connects(context, { ca: cert, host: 'localhost' }, { cert, key }), false);
});

test("an authority's certificate is no server's", async (context) => {
  const root = createCertificate({ authority: true });
  const names = ['localhost'];
  for (const [authority, expected] of [
    [true, false],
    [false, true],
  ]) {
    const { cert, key } = createCertificate({ authority, issuer: root, names });
    assert.equal(await connects(context, { ca: root.cert, host: 'localhost' }, { cert, key }), expected);
  }
  const { cert, key } = createCertificate({ authority: true, names });
  assert.equal(await connects(context, { ca: cert, host: 'localhost' }, { cert, key }), false);
});

for (const [permits, expected] of [
  [['localhost'], true],
  [['example.com', 'localhost'], true],
  [['example.com'], false],
]) {
  test(`an authority for ${permits}: localhost ${expected ? 'connects' : 'fails'}`, async (context) => {
    const root = createCertificate({ authority: true });
    const limited = createCertificate({ authority: true, issuer: root, permits });
    const { cert, key } = createCertificate({ issuer: limited });
    const options = { ca: root.cert, host: 'localhost' };
    assert.equal(await connects(context, options, { cert: cert + limited.cert, key }), expected);
  });
}

for (const [what, size] of [
  ['1000 certificates', 0],
  ['10 MB', 10_000_000],
]) {
  test(`a chain of ${what} fails, with its hash too`, async (context) => {
    const { cert, key, hash } = createCertificate();
    const { cert: more } = createCertificate();
    const count = Math.max(1000, size / more.length);
    const options = { serverCertificateHashes: [sha256(hash)] };
    assert.equal(await connects(context, options, { cert: cert + more.repeat(count), key }), false);
  });
}

test('a chain of ten certificates that nobody needs connects with its hash', async (context) => {
  const { cert, key, hash } = createCertificate();
  const more = createCertificate().cert.repeat(9);
  assert.equal(await connects(context, { serverCertificateHashes: [sha256(hash)] }, { cert: cert + more, key }), true);
});
