// The address that a client connects from: the option `localAddress`.

import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { test } from 'node:test';
import webwire from '../../index.js';
import { connect, hearCauses, NOT_ESTABLISHED, startServer } from './pair.mjs';

const { WebTransport } = webwire;

/** Linux has all of 127.0.0.0/8. */
const MANY = process.platform === 'linux';

/** Where the server sees the client of an established session. */
async function seenFrom(context, listener, options) {
  const client = connect(listener, options);
  context.after(() => client.close());
  const request = await listener.request();
  await request.accept();
  await client.ready;
  return request.remoteAddress;
}

test('the server sees the address that the client names', async (context) => {
  const listener = await startServer(context);
  for (const localAddress of MANY ? ['127.0.0.1', '127.0.0.3'] : ['127.0.0.1']) {
    assert.equal((await seenFrom(context, listener, { localAddress })).address, localAddress);
  }
  for (const localAddress of [null, undefined]) {
    assert.equal((await seenFrom(context, listener, { localAddress })).address, '127.0.0.1');
  }
});

test('clients that name the same address share a socket, others do not', async (context) => {
  const listener = await startServer(context);
  const from = async (options) => (await seenFrom(context, listener, options)).port;
  const plain = await from({});
  const named = await from({ localAddress: '127.0.0.1' });
  assert.notEqual(named, plain);
  assert.equal(await from({ localAddress: '127.0.0.1' }), named);
  assert.equal(await from({}), plain);
  assert.equal(await from({ localAddress: '0.0.0.0' }), plain);
});

test('of a name with several addresses those of its family are tried', async (context) => {
  const addresses = (await lookup('localhost', { all: true })).map(({ address }) => address);
  if (!addresses.includes('127.0.0.1')) return context.skip('localhost is not 127.0.0.1 here');
  const listener = await startServer(context);
  const url = `https://localhost:${listener.server.address().port}/`;
  assert.equal((await seenFrom(context, { ...listener, url }, { localAddress: '127.0.0.1' })).address, '127.0.0.1');
});

for (const [what, localAddress] of [
  ['that is not of this machine', '192.0.2.1'],
  ['of the other family', '::1'],
]) {
  test(`an address ${what} fails`, async (context) => {
    const causes = hearCauses(context);
    const client = connect(await startServer(context), { localAddress });
    await assert.rejects(client.ready, NOT_ESTABLISHED);
    const { phase, code } = causes.get(client);
    assert.deepEqual([phase, code], ['connect', 'EADDRNOTAVAIL']);
  });
}

test('what is no address throws before anything is sent', () => {
  for (const localAddress of ['localhost', '', '127.0.0.1:80', '[::1]', 1]) {
    assert.throws(() => new WebTransport('https://127.0.0.1:1/', { localAddress }), TypeError, String(localAddress));
  }
});
