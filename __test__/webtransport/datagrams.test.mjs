// Datagrams. https://www.w3.org/TR/webtransport/#datagram-duplex-stream

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { connect, next, openSession, startServer } from './pair.mjs';

const { WebTransportDatagramsWritable } = webwire;

test('both ways, of every length that fits', async (context) => {
  const { client, server } = await openSession(context);
  const size = client.datagrams.maxDatagramSize;
  assert.ok(size >= 1000, `${size}`);
  const writer = client.datagrams.createWritable().getWriter();
  const echo = server.datagrams.createWritable().getWriter();
  for (const length of [0, 1, 2, 1000, size]) {
    await writer.write(new Uint8Array(length).fill(length));
    await echo.write(await next(server.datagrams.readable));
    const datagram = await next(client.datagrams.readable);
    assert.equal(datagram.length, length);
    assert.ok(datagram.every((byte) => byte === length % 256));
  }
});

test('one that does not fit is dropped silently', async (context) => {
  const { client, server } = await openSession(context);
  const writer = client.datagrams.createWritable().getWriter();
  await writer.write(new Uint8Array(100_000));
  await writer.write(new Uint8Array(client.datagrams.maxDatagramSize + 1));
  await writer.write(Uint8Array.of(1));
  assert.deepEqual([...(await next(server.datagrams.readable))], [1]);
});

test('written before ready, sent after it', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const writer = client.datagrams.createWritable().getWriter();
  const written = writer.write(Uint8Array.of(1));
  const server = await (await listener.request()).accept();
  await written;
  assert.deepEqual([...(await next(server.datagrams.readable))], [1]);
  client.close();
});

test('the oldest of too many are dropped', async (context) => {
  const { client, server } = await openSession(context);
  server.datagrams.incomingMaxBufferedDatagrams = 2;
  const writer = client.datagrams.createWritable().getWriter();
  for (let index = 0; index < 10; index += 1) await writer.write(Uint8Array.of(index));
  // A stream that arrives behind them says that they are there.
  const stream = await client.createUnidirectionalStream();
  await stream.getWriter().close();
  await next(server.incomingUnidirectionalStreams);
  const reader = server.datagrams.readable.getReader();
  assert.deepEqual([...(await reader.read()).value], [8]);
  assert.deepEqual([...(await reader.read()).value], [9]);
});

test('more than a queue of them, each in turn', async (context) => {
  const { client, server } = await openSession(context);
  const writer = client.datagrams.createWritable().getWriter();
  const reader = server.datagrams.readable.getReader();
  for (let index = 0; index < 1000; index += 1) {
    await writer.write(Uint16Array.of(index));
    const { value } = await reader.read();
    assert.equal(new Uint16Array(value.buffer)[0], index);
  }
});

test('attributes, old names and conversions', async (context) => {
  const { datagrams } = (await openSession(context)).client;
  assert.equal(datagrams.writable, datagrams.writable);
  assert.ok(datagrams.writable instanceof WebTransportDatagramsWritable);
  assert.notEqual(datagrams.createWritable(), datagrams.createWritable());
  assert.deepEqual([datagrams.incomingMaxAge, datagrams.outgoingMaxAge], [null, null]);
  datagrams.incomingMaxAge = 5.5;
  datagrams.outgoingMaxAge = 7;
  assert.deepEqual([datagrams.incomingMaxAge, datagrams.outgoingMaxAge], [5.5, 7]);
  datagrams.incomingMaxAge = 0;
  assert.equal(datagrams.incomingMaxAge, null);
  for (const wrong of [-1, Number.NaN]) {
    assert.throws(() => {
      datagrams.outgoingMaxAge = wrong;
    }, RangeError);
  }
  datagrams.outgoingHighWaterMark = 3;
  datagrams.incomingHighWaterMark = 0;
  assert.deepEqual([datagrams.outgoingMaxBufferedDatagrams, datagrams.incomingMaxBufferedDatagrams], [3, 1]);
});

test('a chunk that is no buffer errors its writable only', async (context) => {
  const { client, server } = await openSession(context);
  await assert.rejects(client.datagrams.createWritable().getWriter().write(1), TypeError);
  await client.datagrams.writable.getWriter().write(Uint8Array.of(1));
  assert.equal((await next(server.datagrams.readable)).length, 1);
});
