// Writing datagrams: before the session is there, on several writables, and what becomes of these at its end.
// https://www.w3.org/TR/webtransport/#datagram-writable

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { connect, next, openSession, startServer } from './pair.mjs';

const { WebTransportDatagramsWritable, WebTransportError } = webwire;

/** Whether a promise is settled when all that is due has run. */
async function isSettled(promise) {
  let settled = false;
  const note = () => {
    settled = true;
  };
  promise.then(note, note);
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

test('before the session is there each writable takes as many as its queue, and they are sent then', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  client.datagrams.outgoingMaxBufferedDatagrams = 3;
  const [one, two] = [1, 2].map(() => client.datagrams.createWritable().getWriter());
  const bytes = Uint8Array.of(1);
  const first = one.write(bytes);
  assert.equal(await isSettled(first), true);
  bytes[0] = 9;
  assert.equal(await isSettled(one.write(Uint8Array.of(2))), true);
  const full = one.write(Uint8Array.of(3));
  assert.equal(await isSettled(full), false);
  assert.equal(await isSettled(two.write(Uint8Array.of(4))), true);
  const server = await (await listener.request()).accept();
  await full;
  const reader = server.datagrams.readable.getReader();
  for (const expected of [1, 2, 3, 4]) assert.deepEqual([...(await reader.read()).value], [expected]);
  client.close();
});

test('what has waited too long is not sent, and its write is fulfilled', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  client.datagrams.outgoingMaxBufferedDatagrams = 2;
  client.datagrams.outgoingMaxAge = Number.MIN_VALUE;
  const writer = client.datagrams.createWritable().getWriter();
  const writes = [1, 2].map((number) => writer.write(Uint8Array.of(number)));
  const server = await (await listener.request()).accept();
  await Promise.all(writes);
  assert.equal((await client.getStats()).datagrams.expiredOutgoing, 2);
  client.datagrams.outgoingMaxAge = 0;
  await writer.write(Uint8Array.of(3));
  assert.deepEqual([...(await next(server.datagrams.readable))], [3]);
  client.close();
});

for (const closer of ['client', 'server']) {
  test(`when the ${closer} closes, writables close; after it none can be made`, async (context) => {
    const session = await openSession(context);
    const { datagrams } = session.client;
    const [free, released] = [datagrams.createWritable(), datagrams.createWritable()];
    const locked = datagrams.createWritable().getWriter();
    released.getWriter().releaseLock();
    const again = released.getWriter();
    session[closer].close();
    await session.client.closed;
    await Promise.all([locked.closed, again.closed]);
    await free.getWriter().closed;
    await datagrams.writable.getWriter().closed;
    assert.throws(() => datagrams.createWritable(), { name: 'InvalidStateError', constructor: DOMException });
  });
}

test('a pipe into a writable ends with the session', async (context) => {
  const { client } = await openSession(context);
  const source = new ReadableStream();
  const piping = source.pipeTo(client.datagrams.createWritable());
  client.close();
  await assert.rejects(piping, WebTransportError);
});

test('when the session fails, writables error', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const { datagrams } = client;
  datagrams.outgoingMaxBufferedDatagrams = 1;
  const writer = datagrams.createWritable().getWriter();
  const waiting = writer.write(Uint8Array.of(1));
  (await listener.request()).reject(404);
  await assert.rejects(waiting, WebTransportError);
  await assert.rejects(writer.closed, WebTransportError);
  await assert.rejects(datagrams.writable.getWriter().closed, WebTransportError);
  assert.throws(() => datagrams.createWritable(), { name: 'InvalidStateError' });
  assert.throws(() => new WebTransportDatagramsWritable(), TypeError);
});
