// What getStats() of a session says, and when. https://www.w3.org/TR/webtransport/#dom-webtransport-getstats

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { connect, next, openSession, readAll, startServer, writeAll } from './pair.mjs';

const { WebTransport } = webwire;
const SIZE = 300_000;

test('figures of the connection, once it is there', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const early = client.getStats();
  const server = await (await listener.request()).accept();
  const first = await early;
  assert.ok(first.bytesReceived > 0);
  assert.equal(first.bytesSent, 0);
  const stream = await client.createUnidirectionalStream();
  await Promise.all([
    writeAll(stream, new Uint8Array(SIZE)),
    next(server.incomingUnidirectionalStreams).then(async (incoming) => {
      assert.equal((await readAll(incoming)).length, SIZE);
    }),
  ]);
  const sent = await client.getStats();
  const received = await server.getStats();
  assert.equal(sent.bytesSent, SIZE);
  assert.ok(sent.bytesSentOverhead > 0 && sent.bytesSentOverhead < SIZE, `${sent.bytesSentOverhead}`);
  assert.ok(sent.packetsSent > first.packetsSent);
  assert.ok(received.bytesReceived > SIZE);
  assert.equal(received.bytesSent, 0);
  assert.ok(sent.minRtt > 0 && sent.minRtt <= sent.smoothedRtt * 2 && sent.smoothedRtt < 10_000);
  assert.ok(Number.isInteger(sent.estimatedSendRate) && sent.estimatedSendRate > 0);
  assert.equal(sent.packetsLost >= 0 && sent.bytesLost >= 0, true);
  assert.deepEqual(sent.datagrams, { droppedIncoming: 0, expiredIncoming: 0, expiredOutgoing: 0 });
  assert.equal(sent.atSendCapacity, false);
  for (const unknown of ['bytesAcknowledged', 'packetsReceived', 'rttVariation'])
    assert.ok(!(unknown in sent), unknown);
  client.close();
});

test('the bytes of datagrams count as sent', async (context) => {
  const { client, server } = await openSession(context);
  await client.datagrams.createWritable().getWriter().write(new Uint8Array(77));
  await next(server.datagrams.readable);
  assert.equal((await client.getStats()).bytesSent, 77);
});

test('datagrams that were not read in time or did not fit into the queue are counted', async (context) => {
  const { client, server } = await openSession(context);
  const writer = client.datagrams.createWritable().getWriter();
  const stream = await client.createUnidirectionalStream();
  const streamWriter = stream.getWriter();
  server.datagrams.incomingMaxBufferedDatagrams = 2;
  const reader = server.datagrams.readable.getReader();
  // One at a time, so that none is lost on the way: each is told of by a read at the other end, which sees the last two.
  const count = 20;
  for (let index = 0; index < count; index += 1) await writer.write(Uint8Array.of(index));
  await streamWriter.write(Uint8Array.of(1));
  await next(server.incomingUnidirectionalStreams);
  for (;;) {
    const { datagrams } = await server.getStats();
    if (datagrams.droppedIncoming === count - 2) break;
    // Each look is a round trip of the session.
    await exchange(client, server);
  }
  assert.deepEqual([...(await reader.read()).value], [count - 2]);
  server.datagrams.incomingMaxAge = Number.MIN_VALUE;
  assert.equal((await server.getStats()).datagrams.expiredIncoming, 0);
  const late = reader.read();
  await exchange(client, server);
  assert.equal((await server.getStats()).datagrams.expiredIncoming, 1);
  server.datagrams.incomingMaxAge = null;
  await writer.write(Uint8Array.of(99));
  assert.deepEqual([...(await late).value], [99]);
});

async function exchange(client, server) {
  await writeAll(await client.createUnidirectionalStream(), Uint8Array.of(1));
  await readAll(await next(server.incomingUnidirectionalStreams));
}

for (const closer of ['client', 'server']) {
  test(`after the ${closer} has closed both ends have their last figures`, async (context) => {
    const session = await openSession(context);
    await session.client.datagrams.createWritable().getWriter().write(new Uint8Array(5));
    await next(session.server.datagrams.readable);
    session[closer].close();
    await Promise.all([session.client.closed, session.server.closed]);
    assert.equal((await session.client.getStats()).bytesSent, 5);
    assert.ok((await session.server.getStats()).bytesReceived > 0);
  });
}

test('getStats() at the same time as the peer closes is answered', async (context) => {
  const { client, server } = await openSession(context);
  const { closed } = client;
  server.close();
  const asked = [];
  let isOver = false;
  closed.then(() => {
    isOver = true;
  });
  while (!isOver) {
    asked.push(client.getStats());
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const { bytesReceived } of await Promise.all(asked)) assert.ok(bytesReceived > 0);
});

test('a session that failed has no figures', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const early = client.getStats();
  (await listener.request()).reject(404);
  await assert.rejects(early, { name: 'InvalidStateError', constructor: DOMException });
  await assert.rejects(client.getStats(), { name: 'InvalidStateError' });
  await assert.rejects(WebTransport.prototype.getStats.call({}), TypeError);
});

test('with allowPooling only what may be shared is shown', async (context) => {
  const listener = await startServer(context);
  const client = new WebTransport(listener.url, { ca: listener.cert, allowPooling: true });
  await (await listener.request()).accept();
  await client.ready;
  const stats = await client.getStats();
  assert.deepEqual(Object.keys(stats).sort(), [
    'atSendCapacity',
    'datagrams',
    'estimatedSendRate',
    'minRtt',
    'smoothedRtt',
  ]);
  assert.deepEqual(stats.datagrams, {});
  client.close();
});
