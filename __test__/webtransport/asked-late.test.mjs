// What a script asks a session for when that is over: https://www.w3.org/TR/webtransport/#webtransport-cleanup

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { connect, openSession, startServer } from './pair.mjs';

const { WebTransportError } = webwire;

const readables = (session) => [
  session.incomingBidirectionalStreams,
  session.incomingUnidirectionalStreams,
  session.datagrams.readable,
];

for (const closer of ['client', 'server']) {
  test(`closed by the ${closer}: streams that have ended`, async (context) => {
    const session = await openSession(context);
    session[closer].close();
    await session.client.closed;
    for (const readable of readables(session.client)) {
      assert.equal((await readable.getReader().read()).done, true);
    }
    await session.client.datagrams.writable.getWriter().closed;
    assert.throws(() => session.client.datagrams.createWritable(), { name: 'InvalidStateError' });
  });
}

test('closed, and asked for within: streams that have ended', async (context) => {
  const { client } = await openSession(context);
  const { closed } = client;
  const ends = [];
  // A script that runs while the promise is resolved. https://www.w3.org/TR/webtransport/#webtransport-cleanup
  Object.defineProperty(Object.prototype, 'then', {
    configurable: true,
    get() {
      delete Object.prototype.then;
      ends.push(...readables(client).map((readable) => readable.getReader().closed));
    },
  });
  client.close({ closeCode: 1 });
  assert.deepEqual(await Promise.all(ends), [undefined, undefined, undefined]);
  assert.deepEqual(await closed, { closeCode: 1, reason: '' });
});

test('failed: streams that have failed', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  (await listener.request()).reject(404);
  const error = await client.closed.catch((reason) => reason);
  assert.ok(error instanceof WebTransportError);
  for (const readable of readables(client)) {
    await assert.rejects(readable.getReader().read(), (reason) => reason === error);
  }
});

test('each is always the same object, with the limits that it was given before the session was there', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const { datagrams } = client;
  datagrams.incomingMaxBufferedDatagrams = 1;
  const server = await (await listener.request()).accept();
  await client.ready;
  const before = readables(client);
  for (const [index, readable] of readables(client).entries()) assert.equal(readable, before[index]);
  assert.equal(client.datagrams, datagrams);
  const writer = server.datagrams.createWritable().getWriter();
  for (const byte of [1, 2]) await writer.write(Uint8Array.of(byte));
  // A stream that arrives behind them says that they are there.
  await (await server.createUnidirectionalStream()).getWriter().close();
  await client.incomingUnidirectionalStreams.getReader().read();
  assert.deepEqual([...(await datagrams.readable.getReader().read()).value], [2]);
  client.close();
});
