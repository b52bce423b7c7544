// Receive streams are byte streams: every way in which a script may read them. https://www.w3.org/TR/webtransport/#receive-stream

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { next, openSession, openStreams, readAll, writeAll } from './pair.mjs';

const CONTENT = randomBytes(700_001);

/** The server's end of a stream on which the client sends all of `CONTENT`. */
async function receive(context) {
  const { client, server } = await openSession(context);
  const writing = writeAll(await client.createUnidirectionalStream(), CONTENT);
  // Who gives the stream up fails it.
  writing.catch(() => {});
  return { writing, readable: await next(server.incomingUnidirectionalStreams) };
}

for (const length of [1000, 4096, 100_000]) {
  test(`BYOB reads of ${length} bytes`, async (context) => {
    const { readable } = await receive(context);
    const reader = readable.getReader({ mode: 'byob' });
    const parts = [];
    let buffer = new ArrayBuffer(length);
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) break;
      parts.push(Buffer.from(value));
      buffer = value.buffer;
      assert.equal(buffer.byteLength, length);
    }
    assert.ok(Buffer.concat(parts).equals(CONTENT));
    await reader.closed;
    assert.deepEqual(await readable.getStats(), { bytesReceived: CONTENT.length, bytesRead: CONTENT.length });
  });
}

test('several BYOB reads at once, then a default reader', async (context) => {
  const { readable } = await receive(context);
  const byob = readable.getReader({ mode: 'byob' });
  const reads = [1, 20, 300].map((length) => byob.read(new Uint8Array(length)));
  const parts = (await Promise.all(reads)).map(({ value }) => Buffer.from(value));
  byob.releaseLock();
  parts.push(await readAll(readable));
  assert.ok(Buffer.concat(parts).equals(CONTENT));
});

test('reads that wait when the stream ends', async (context) => {
  const session = await openSession(context);
  for (const mode of [undefined, 'byob']) {
    const { near, far } = await openStreams(session);
    await next(far.readable);
    const reader = far.readable.getReader({ mode });
    const reads = [0, 1].map(() => reader.read(mode && new Uint8Array(8)));
    await near.writable.close();
    for (const read of reads) assert.equal((await read).done, true);
    await reader.closed;
  }
});

test('two reads behind one that was given up with a part: at the worst the stream fails', async (context) => {
  const session = await openSession(context);
  const { near, far } = await openStreams(session);
  await next(far.readable);
  const byob = far.readable.getReader({ mode: 'byob' });
  byob.read(new Uint16Array(4)).catch(() => {});
  const writer = near.writable.getWriter();
  await writer.write(Uint8Array.of(7));
  // The byte has come when the next stream has.
  await next((await openStreams(session)).far.readable);
  byob.releaseLock();
  const reader = far.readable.getReader();
  for (const read of [reader.read(), reader.read()]) read.catch(() => {});
  await writer.write(Uint8Array.of(8));
  // Node 20 to 26 forget one of the reads, and say so with an exception.
  await writer.close().catch(() => {});
  await reader.closed.catch(() => {});
  session.client.close({ closeCode: 3 });
  assert.equal((await session.server.closed).closeCode, 3);
});

test('a read of elements that the stream ends in the middle of one: TypeError, and no more than that', async (context) => {
  const session = await openSession(context);
  for (const end of ['with the bytes', 'behind them']) {
    const { near, far } = await openStreams(session);
    await next(far.readable);
    const reader = far.readable.getReader({ mode: 'byob' });
    const refused = assert.rejects(reader.read(new Uint16Array(4)), TypeError);
    const writer = near.writable.getWriter();
    const written = writer.write(Uint8Array.of(7));
    if (end === 'behind them') {
      await written;
      // The byte has come when the next stream has.
      await next((await openStreams(session)).far.readable);
    }
    await writer.close();
    await refused;
    await assert.rejects(reader.closed, TypeError);
  }
  session.client.close({ closeCode: 3 });
  assert.equal((await session.server.closed).closeCode, 3);
});

/** Around what comes along with the word that bytes have come. */
const lengths = [1, 4095, 4096, 4097, 100_000];

for (const mode of [undefined, 'byob']) {
  test(`several reads of a ${mode ?? 'default'} reader wait when all comes at once, and the end with it`, async (context) => {
    const session = await openSession(context);
    for (const length of lengths) {
      const { near, far } = await openStreams(session);
      const reader = near.readable.getReader({ mode });
      const reads = Array.from({ length: 5 }, () => reader.read(mode && new Uint8Array(80_000)));
      const writer = far.writable.getWriter();
      writer.write(CONTENT.subarray(0, length)).catch(() => {});
      const closing = writer.close();
      const parts = (await Promise.all(reads)).filter(({ done }) => !done).map(({ value }) => value);
      assert.ok(Buffer.concat(parts).equals(CONTENT.subarray(0, length)), `${length} bytes`);
      await Promise.all([reader.closed, closing]);
      assert.deepEqual(await near.readable.getStats(), { bytesReceived: length, bytesRead: length });
    }
  });
}

for (const mode of [undefined, 'byob']) {
  test(`what comes to a ${mode ?? 'default'} reader that waits, and the end with it`, async (context) => {
    const { client, server } = await openSession(context);
    for (const length of lengths) {
      const { readable, writable } = await client.createBidirectionalStream();
      const parts = [];
      const read = async () => {
        const reader = readable.getReader({ mode });
        for (;;) {
          const { done, value } = await reader.read(new Uint8Array(1000));
          if (done) return;
          parts.push(Buffer.from(value));
        }
      };
      const reading = read();
      const opening = writable.getWriter();
      await opening.write(Uint8Array.of(1));
      const far = await next(server.incomingBidirectionalStreams);
      const writer = far.writable.getWriter();
      const writing = [writer.write(CONTENT.subarray(0, length)), writer.close()];
      await reading;
      await Promise.all(writing);
      assert.ok(Buffer.concat(parts).equals(CONTENT.subarray(0, length)), `${length} bytes`);
      assert.deepEqual(await readable.getStats(), { bytesReceived: length, bytesRead: length });
      await Promise.all([opening.close(), readAll(far.readable)]);
    }
  });
}

test('a read that waits before the peer knows of the stream, and one that has been given up since', async (context) => {
  const { client, server } = await openSession(context);
  const { readable, writable } = await client.createBidirectionalStream();
  const first = readable.getReader();
  const given = first.read();
  first.releaseLock();
  await assert.rejects(given, TypeError);
  const writing = writeAll(writable, Uint8Array.of(1, 2, 3));
  const far = await next(server.incomingBidirectionalStreams);
  await far.readable.pipeTo(far.writable);
  assert.deepEqual([...(await readAll(readable))], [1, 2, 3]);
  await writing;
});

test('both branches of a tee', async (context) => {
  const { readable } = await receive(context);
  const [one, other] = readable.tee();
  const byob = other.getReader({ mode: 'byob' });
  const first = Buffer.from((await byob.read(new Uint8Array(10))).value);
  byob.releaseLock();
  const [all, rest] = await Promise.all([readAll(one), readAll(other)]);
  assert.ok(all.equals(CONTENT) && Buffer.concat([first, rest]).equals(CONTENT));
});

test('pipeThrough and pipeTo', async (context) => {
  const { readable } = await receive(context);
  let sum = 0;
  const count = new TransformStream({
    transform(chunk, controller) {
      sum += chunk.byteLength;
      controller.enqueue(chunk);
    },
  });
  const parts = [];
  const sink = new WritableStream({ write: (chunk) => void parts.push(chunk) });
  await readable.pipeThrough(count).pipeTo(sink);
  assert.ok(Buffer.concat(parts).equals(CONTENT));
  assert.equal(sum, CONTENT.length);
});

test('a pipe that a signal aborts gives both streams up', async (context) => {
  const session = await openSession(context);
  const source = await openStreams(session);
  const target = await openStreams(session);
  await next(target.far.readable);
  const abort = new AbortController();
  const piping = source.far.readable.pipeTo(target.near.writable, { signal: abort.signal });
  // The first byte is through.
  await next(target.far.readable);
  abort.abort(new Error('enough'));
  await assert.rejects(piping, { message: 'enough' });
  await assert.rejects(source.near.writable.getWriter().closed, { name: 'WebTransportError', streamErrorCode: 0 });
  await assert.rejects(readAll(target.far.readable), { name: 'WebTransportError', streamErrorCode: 0 });
});

test('who leaves an iteration gives the stream up, unless that is prevented', async (context) => {
  const session = await openSession(context);
  const { near, far } = await openStreams(session);
  for await (const chunk of far.readable.values({ preventCancel: true })) {
    assert.equal(chunk[0], 1);
    break;
  }
  const writer = near.writable.getWriter();
  await writer.write(Uint8Array.of(2));
  for await (const chunk of far.readable) {
    assert.equal(chunk[0], 2);
    break;
  }
  await assert.rejects(writer.closed, { name: 'WebTransportError', streamErrorCode: 0 });
});
