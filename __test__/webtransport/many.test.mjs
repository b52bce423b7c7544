// Many streams at once, a long one, and many that are used and dropped. npm run soak:webtransport does the same with more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { gc } from '../helpers/garbage.mjs';
import { connect, next, openSession, readAll, startServer } from './pair.mjs';

const { WebTransportError } = webwire;

const TIME_LIMIT = { timeout: 120_000 };

/** Echoes every stream of a session. What goes wrong is seen at the other end. */
async function echo(session) {
  for await (const { readable, writable } of session.incomingBidirectionalStreams) {
    readable.pipeTo(writable).catch(() => {});
  }
}

test('1,000 streams at once on each of three sessions: each has its own bytes', TIME_LIMIT, async (context) => {
  const [SESSIONS, STREAMS] = [3, 1000];
  // The session's own stream is one of them.
  const listener = await startServer(context, { maxStreamsPerConnection: STREAMS + 1 });
  const sessions = [];
  for (let count = 0; count < SESSIONS; count += 1) {
    const session = connect(listener);
    echo(await (await listener.request()).accept());
    await session.ready;
    sessions.push(session);
  }
  const own = (session, index) => Uint8Array.of(session, index & 0xff, index >> 8);
  // No stream ends before all are open: the last ones do not wait for the first.
  const open = await Promise.all(
    sessions.flatMap((session, number) =>
      Array.from({ length: STREAMS }, async (_, index) => {
        const { readable, writable } = await session.createBidirectionalStream();
        const writer = writable.getWriter();
        await writer.write(own(number, index));
        return { number, index, readable, writer };
      }),
    ),
  );
  await Promise.all(
    open.map(async ({ number, index, readable, writer }) => {
      const [bytes] = await Promise.all([readAll(readable), writer.close()]);
      assert.deepEqual(new Uint8Array(bytes), own(number, index));
    }),
  );
  for (const session of sessions) session.close();
  await Promise.all(sessions.map((session) => session.closed));
});

test('however much goes through a stream, a part of a fixed size is under way', TIME_LIMIT, async (context) => {
  const { client, server } = await openSession(context);
  const LENGTH = 32 * 1024 * 1024;
  const CHUNK = 64 * 1024;
  /** What a stream may have unread, our queues before and behind QUIC, and a chunk at either end. */
  const MOST = 1_250_000 + 2 * 128 * 1024 + 2 * CHUNK;
  const writer = (await client.createUnidirectionalStream()).getWriter();
  let written = 0;
  let read = 0;
  let most = 0;
  const write = async () => {
    while (written < LENGTH) {
      await writer.write(new Uint8Array(CHUNK).fill(written / CHUNK));
      written += CHUNK;
      most = Math.max(most, written - read);
    }
    await writer.close();
  };
  const check = async () => {
    for await (const chunk of await next(server.incomingUnidirectionalStreams)) {
      assert.equal(chunk[0], Math.floor(read / CHUNK) & 0xff);
      read += chunk.byteLength;
      // The writer is faster.
      await new Promise(setImmediate);
    }
  };
  await Promise.all([write(), check()]);
  assert.equal(read, LENGTH);
  assert.ok(most > CHUNK && most <= MOST, `${most} bytes were under way`);
});

test('streams that were used and dropped are collected, at both ends', TIME_LIMIT, async (context) => {
  const { client, server } = await openSession(context);
  const STREAMS = 1000;
  const references = [];
  const keep = (stream) => references.push(new WeakRef(stream), new WeakRef(stream.readable));
  const serve = async () => {
    for (let count = 0; count < STREAMS; count += 1) {
      const stream = await next(server.incomingBidirectionalStreams);
      keep(stream);
      await stream.readable.pipeTo(stream.writable);
    }
  };
  const use = async () => {
    for (let count = 0; count < STREAMS; count += 1) {
      const stream = await client.createBidirectionalStream({ waitUntilAvailable: true });
      keep(stream);
      const writer = stream.writable.getWriter();
      await writer.write(Uint8Array.of(count & 0xff));
      const [bytes] = await Promise.all([readAll(stream.readable), writer.close()]);
      assert.deepEqual([...bytes], [count & 0xff]);
    }
  };
  await Promise.all([serve(), use()]);
  assert.equal(references.length, 4 * STREAMS);
  while (references.some((reference) => reference.deref() !== undefined)) {
    // In a turn of its own: what deref() has shown is kept to the end of the turn.
    await new Promise(setImmediate);
    gc();
    await new Promise(setImmediate);
  }
});

test(
  'streams that nobody has a hold of are collected although they are open, and given up',
  TIME_LIMIT,
  async (context) => {
    const { client, server } = await openSession(context);
    const references = [];
    const drop = async () => {
      const stream = await client.createBidirectionalStream({ waitUntilAvailable: true });
      references.push(new WeakRef(stream.readable), new WeakRef(stream.writable));
      await stream.writable.getWriter().write(Uint8Array.of(1));
    };
    for (let count = 0; count < 10; count += 1) await drop();
    const far = [];
    for (let count = 0; count < 10; count += 1) far.push(await next(server.incomingBidirectionalStreams));
    while (references.some((reference) => reference.deref() !== undefined)) {
      await new Promise(setImmediate);
      gc();
      await new Promise(setImmediate);
    }
    const isGivenUp = (error) => error instanceof WebTransportError && error.streamErrorCode === 0;
    for (const { readable, writable } of far) {
      await assert.rejects(readAll(readable), isGivenUp);
      await assert.rejects(writable.getWriter().closed, isGivenUp);
    }
  },
);
