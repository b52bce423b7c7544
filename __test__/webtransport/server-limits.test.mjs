// The limits of a server that its options set, as its clients meet them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { startUdpProxy } from '../helpers/udp-proxy.mjs';
import { connect, hearCauses, NOT_ESTABLISHED, openable, startServer } from './pair.mjs';
import { flush, halfHello, start } from './raw-client.mjs';

const LONG_MS = 600_000;
const TIME_LIMIT = { timeout: 60_000 };

/** An established session with a server of these limits. */
async function openLimited(context, limits) {
  const listener = await startServer(context, limits);
  const client = connect(listener);
  context.after(() => client.close());
  const server = await (await listener.request()).accept();
  await client.ready;
  return { client, server };
}

test('maxPendingHandshakes: further clients are refused while so many are in the handshake', async (context) => {
  const limits = { maxPendingHandshakes: 1, handshakeTimeoutMs: LONG_MS, idleTimeoutMs: LONG_MS };
  const { listener, sender } = await start(context, limits);
  await sender.send(halfHello());
  await flush(sender);
  const causes = hearCauses(context);
  const client = connect(listener);
  await assert.rejects(client.ready, NOT_ESTABLISHED);
  const { phase, code } = causes.get(client);
  assert.deepEqual([phase, code], ['connect', 'ERR_CLOSED_BY_PEER']);
});

test('handshakeTimeoutMs: a handshake that never ends makes room for others', TIME_LIMIT, async (context) => {
  const limits = { maxPendingHandshakes: 1, handshakeTimeoutMs: 300, idleTimeoutMs: LONG_MS };
  const onRequest = (request) => request.accept();
  const { listener, sender } = await start(context, { ...limits, onRequest });
  await sender.send(halfHello());
  await flush(sender);
  const isLetIn = async () => {
    const client = connect(listener);
    context.after(() => client.close());
    return client.ready.then(
      () => true,
      () => false,
    );
  };
  while (!(await isLetIn()));
});

for (const maxStreamsPerConnection of [16, 40]) {
  test(`maxStreamsPerConnection: ${maxStreamsPerConnection} of each kind, those of HTTP/3 among them`, async (context) => {
    const { client, server } = await openLimited(context, { maxStreamsPerConnection });
    // The session's own.
    assert.equal(await openable(client, 'createBidirectionalStream'), maxStreamsPerConnection - 1);
    const unidirectional = await openable(client, 'createUnidirectionalStream');
    assert.ok(unidirectional < maxStreamsPerConnection && unidirectional >= maxStreamsPerConnection - 3);
    // It limits the client alone.
    assert.ok((await openable(server, 'createBidirectionalStream')) >= 100);
  });
}

/** What becomes of a chunk that a new stream takes as a whole or not at all. */
async function writeWhole(session, length) {
  const stream = await session.createUnidirectionalStream();
  const writer = stream.getWriter();
  writer.closed.catch(() => {});
  return writer.atomicWrite(new Uint8Array(length)).then(
    () => 'taken',
    ({ name }) => name,
  );
}

/** Type and session, at the front of a stream. */
const HEADER = 3;

test('maxUnreadBytesPerStream is what a client may send on a stream at first', async (context) => {
  const maxUnreadBytesPerStream = 20_000;
  const { client } = await openLimited(context, { maxUnreadBytesPerStream });
  assert.equal(await writeWhole(client, maxUnreadBytesPerStream - HEADER), 'taken');
  assert.equal(await writeWhole(client, maxUnreadBytesPerStream - HEADER + 1), 'AbortError');
});

test('maxUnreadBytesPerConnection is what a client may send on all streams', async (context) => {
  const limits = { maxUnreadBytesPerStream: 40_000, maxUnreadBytesPerConnection: 50_000 };
  const { client } = await openLimited(context, limits);
  assert.equal(await writeWhole(client, 39_000), 'taken');
  // The server looks at the first 4 KiB of streams that nobody has taken.
  assert.equal(await writeWhole(client, 39_000), 'AbortError');
});

test('maxQueuedBytesPerConnection is what the server holds for a client', async (context) => {
  const { server } = await openLimited(context, { maxQueuedBytesPerConnection: 20_000 });
  assert.equal(await writeWhole(server, 15_000), 'taken');
  assert.equal(await writeWhole(server, 20_001), 'AbortError');
  const { server: usual } = await openLimited(context, {});
  assert.equal(await writeWhole(usual, 20_001), 'taken');
});

test('keepAlive: a silent client is asked again and again whether it is there', TIME_LIMIT, async (context) => {
  const listener = await startServer(context, { keepAlive: { intervalMs: 20 } });
  const proxy = await startUdpProxy(context, listener.server.address().port);
  const client = connect({ ...listener, url: `https://127.0.0.1:${proxy.port}/` });
  context.after(() => client.close());
  await (await listener.request()).accept();
  await client.ready;
  // By itself a client speaks every ten seconds, and the server only answers that.
  for (let count = 0; count < 100; count += 1) await once(proxy.events, 'down');
});
