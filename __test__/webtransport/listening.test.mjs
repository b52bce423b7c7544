// Addresses that a server listens at.

import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import { connect, startServer } from './pair.mjs';

const { WebTransportServer } = webwire;

const hasIPv6 = Object.values(networkInterfaces())
  .flat()
  .some(({ address }) => address === '::1');

/** Connects to each host, and gives each client's address as the server sees it. */
async function reach({ server, hash, request }, ...hosts) {
  const seen = [];
  for (const host of hosts) {
    const client = connect({ url: `https://${host}:${server.address().port}/`, hash });
    const asked = await request();
    seen.push(asked.remoteAddress.address);
    await asked.accept();
    await client.ready;
    client.close();
  }
  return seen;
}

test('two servers on one port: the second gets EADDRINUSE, the first goes on', async (context) => {
  const listener = await startServer(context);
  const { cert, key } = createCertificate();
  const { port } = listener.server.address();
  const second = new WebTransportServer({ host: '127.0.0.1', port, cert, key });
  await assert.rejects(second.ready, { code: 'EADDRINUSE' });
  await second.close();
  assert.deepEqual(await reach(listener, '127.0.0.1'), ['127.0.0.1']);
});

test('a port is free again when its server has closed', async (context) => {
  const first = await startServer(context);
  const { port } = first.server.address();
  await reach(first, '127.0.0.1');
  await first.server.close();
  const second = await startServer(context, { port });
  assert.deepEqual(await reach(second, '127.0.0.1'), ['127.0.0.1']);
});

test('an address that is not ours rejects ready', async () => {
  const { cert, key } = createCertificate();
  const server = new WebTransportServer({ host: '192.0.2.1', cert, key });
  await assert.rejects(server.ready, { code: 'EADDRNOTAVAIL' });
  await server.close();
});

test('a name that cannot have an address rejects ready', async () => {
  const { cert, key } = createCertificate();
  const server = new WebTransportServer({ host: `${'a'.repeat(64)}.invalid`, cert, key });
  await assert.rejects(server.ready, { code: 'ENOTFOUND' });
  await server.close();
});

test('a server without a host takes both IP versions', async (context) => {
  const listener = await startServer(context, { host: undefined });
  const hosts = hasIPv6 ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'];
  assert.deepEqual(
    await reach(listener, ...hosts),
    hosts.map((host) => host.replace(/[[\]]/g, '')),
  );
});

test('IPv6 alone', { skip: !hasIPv6 && 'this machine has no IPv6' }, async (context) => {
  const listener = await startServer(context, { host: '::1' });
  assert.equal(listener.server.address().family, 'IPv6');
  assert.deepEqual(await reach(listener, '[::1]'), ['::1']);
  // The same port of the other version is another server's.
  const other = await startServer(context, { port: listener.server.address().port });
  assert.deepEqual(await reach(other, '127.0.0.1'), ['127.0.0.1']);
});

for (const host of ['127.0.0.1', '::1']) {
  test(`a name with two addresses of which ${host} alone answers`, async (context) => {
    const addresses = (await lookup('localhost', { all: true })).map(({ address }) => address);
    if (!addresses.includes(host)) return context.skip(`localhost is not ${host} here`);
    const listener = await startServer(context, { host });
    assert.deepEqual(await reach(listener, 'localhost'), [host]);
  });
}

test('idleTimeoutMs is converted before anything is sent', () => {
  const { cert, key } = createCertificate();
  for (const [value, error] of [
    [0, RangeError],
    [-1, TypeError],
    [2 ** 32, TypeError],
    [Number.NaN, TypeError],
  ]) {
    assert.throws(() => new WebTransportServer({ cert, key, idleTimeoutMs: value }), error);
    assert.throws(
      () => connect({ url: 'https://127.0.0.1:1/', hash: new Uint8Array(32) }, { idleTimeoutMs: value }),
      error,
    );
  }
});
