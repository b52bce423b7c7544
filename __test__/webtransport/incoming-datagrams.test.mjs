// Reading datagrams: as bytes, many at once, and what the queue's limits drop. https://www.w3.org/TR/webtransport/#pulldatagrams

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { next, openSession, readAll, writeAll } from './pair.mjs';

/** Sends datagrams to the client, which has them all when this is fulfilled. */
async function sendAll({ client, server }, datagrams) {
  const writer = server.datagrams.createWritable().getWriter();
  for (const datagram of datagrams) await writer.write(datagram);
  writer.releaseLock();
  await settle({ client, server });
}

/** What was sent before on the connection has arrived. */
async function settle({ client, server }) {
  await writeAll(await server.createUnidirectionalStream(), Uint8Array.of(1));
  await readAll(await next(client.incomingUnidirectionalStreams));
}

const numbers = (count) => Array.from({ length: count }, (_, index) => Uint8Array.of(index));

test('many wait, and each is a chunk with memory of its own', async (context) => {
  const session = await openSession(context);
  await sendAll(session, [...numbers(200), new Uint8Array(), new Uint8Array(1000).fill(7)]);
  const reader = session.client.datagrams.readable.getReader();
  for (let index = 0; index < 200; index += 1) {
    const { value } = await reader.read();
    assert.deepEqual([value.length, value[0], value.buffer.byteLength], [1, index, 1]);
  }
  assert.equal((await reader.read()).value.length, 0);
  assert.deepEqual((await reader.read()).value, new Uint8Array(1000).fill(7));
});

test('those that were taken along with the one that was read are subject to a limit that is set then', async (context) => {
  const session = await openSession(context);
  const { datagrams } = session.client;
  await sendAll(session, numbers(10));
  const reader = datagrams.readable.getReader();
  assert.equal((await reader.read()).value[0], 0);
  datagrams.incomingMaxBufferedDatagrams = 3;
  assert.equal((await reader.read()).value[0], 7);
  assert.equal((await session.client.getStats()).datagrams.droppedIncoming, 6);
  datagrams.incomingMaxAge = Number.MIN_VALUE;
  const late = reader.read();
  await settle(session);
  assert.equal((await session.client.getStats()).datagrams.expiredIncoming, 2);
  datagrams.incomingMaxAge = 0;
  await sendAll(session, [Uint8Array.of(99)]);
  assert.equal((await late).value[0], 99);
});

test('of those that come while others that were taken wait the oldest of all are dropped', async (context) => {
  const session = await openSession(context);
  const { datagrams } = session.client;
  datagrams.incomingMaxBufferedDatagrams = 8;
  await sendAll(session, numbers(8));
  const reader = datagrams.readable.getReader();
  assert.equal((await reader.read()).value[0], 0);
  await sendAll(session, numbers(13).slice(8));
  // 1 to 12 have waited, of which the queue holds the last eight.
  datagrams.incomingMaxBufferedDatagrams = 8;
  assert.equal((await reader.read()).value[0], 5);
  assert.equal((await session.client.getStats()).datagrams.droppedIncoming, 4);
});

test('bytes: a read without a buffer gets a datagram, an empty one is lost', async (context) => {
  const session = await openSession(context, { datagramsReadableType: 'bytes' });
  await sendAll(session, [Uint8Array.of(1, 2), new Uint8Array(), Uint8Array.of(3)]);
  const reader = session.client.datagrams.readable.getReader();
  assert.deepEqual([...(await reader.read()).value], [1, 2]);
  assert.deepEqual([...(await reader.read()).value], [3]);
});

test('bytes: a read into a buffer gets one datagram, before and after it comes', async (context) => {
  const session = await openSession(context, { datagramsReadableType: 'bytes' });
  const reader = session.client.datagrams.readable.getReader({ mode: 'byob' });
  const early = reader.read(new Uint8Array(64 * 1024));
  await sendAll(session, [Uint8Array.of(1, 2), Uint8Array.of(3), Uint8Array.of(4, 5, 6)]);
  const { value } = await early;
  assert.deepEqual([[...value], value.buffer.byteLength], [[1, 2], 64 * 1024]);
  assert.deepEqual([...(await reader.read(value)).value], [3]);
  assert.deepEqual([...(await reader.read(new Uint8Array(new ArrayBuffer(10), 4, 3))).value], [4, 5, 6]);
  const last = reader.read(new Uint8Array(5));
  session.server.close();
  const { done, value: rest } = await last;
  assert.deepEqual([done, rest.length], [true, 0]);
});

for (const when of ['before', 'after']) {
  test(`bytes: a buffer that is too small, given ${when} the datagram comes: RangeError`, async (context) => {
    const session = await openSession(context, { datagramsReadableType: 'bytes' });
    const reader = session.client.datagrams.readable.getReader({ mode: 'byob' });
    const early = when === 'before' ? reader.read(new Uint8Array(2)) : undefined;
    early?.catch(() => {});
    await sendAll(session, [Uint8Array.of(1, 2, 3)]);
    await assert.rejects(early ?? reader.read(new Uint8Array(2)), RangeError);
    await assert.rejects(reader.closed, RangeError);
  });
}

test('bytes: the end of the session in the middle of an element errors that read alone', async (context) => {
  const session = await openSession(context, { datagramsReadableType: 'bytes' });
  const { client, server } = session;
  const reader = client.datagrams.readable.getReader({ mode: 'byob' });
  const refused = assert.rejects(reader.read(new Uint16Array(4)), TypeError);
  await sendAll(session, [Uint8Array.of(7)]);
  const streams = [client.incomingBidirectionalStreams, client.incomingUnidirectionalStreams];
  const ends = streams.map((readable) => readable.getReader().closed);
  server.close({ closeCode: 3 });
  await refused;
  assert.deepEqual(await Promise.all(ends), [undefined, undefined]);
  assert.equal((await client.closed).closeCode, 3);
});

test('bytes: two reads behind one that was given up with a part: at the worst the stream fails', async (context) => {
  const session = await openSession(context, { datagramsReadableType: 'bytes' });
  const { readable } = session.client.datagrams;
  const byob = readable.getReader({ mode: 'byob' });
  const first = byob.read(new Uint16Array(4));
  await sendAll(session, [Uint8Array.of(7)]);
  byob.releaseLock();
  await assert.rejects(first, TypeError);
  const reader = readable.getReader();
  for (const read of [reader.read(), reader.read()]) read.catch(() => {});
  // Node 20 to 26 forget one of the reads, and say so with an exception.
  for (let sent = 0; sent < 3; sent += 1) await sendAll(session, [Uint8Array.of(1, 2, 3)]);
  reader.closed.catch(() => {});
  session.client.close({ closeCode: 3 });
  assert.equal((await session.server.closed).closeCode, 3);
});

test('without the option there is no reading into a buffer', async (context) => {
  const { client, server } = await openSession(context);
  for (const { datagrams } of [client, server]) {
    assert.throws(() => datagrams.readable.getReader({ mode: 'byob' }), TypeError);
  }
});

test('a script that wants no more', async (context) => {
  const session = await openSession(context, { datagramsReadableType: 'bytes' });
  await session.client.datagrams.readable.cancel();
  await sendAll(session, numbers(3));
  session.client.close();
  await session.client.closed;
});
