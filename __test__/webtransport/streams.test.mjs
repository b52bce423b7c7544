// Streams: bytes, back-pressure, ends and error codes. https://www.w3.org/TR/webtransport/#streams

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import webwire from '../../index.js';
import { next, openSession, openStreams, readAll, writeAll } from './pair.mjs';

const { WebTransportBidirectionalStream, WebTransportError, WebTransportReceiveStream, WebTransportSendStream } =
  webwire;

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const MIB = 1024 * 1024;

test('the classes are those of the realm', async (context) => {
  const { client } = await openSession(context);
  const stream = await client.createBidirectionalStream();
  assert.ok(stream instanceof WebTransportBidirectionalStream);
  assert.ok(stream.readable instanceof WebTransportReceiveStream && stream.readable instanceof ReadableStream);
  assert.ok(stream.writable instanceof WebTransportSendStream && stream.writable instanceof WritableStream);
  for (const Class of [WebTransportBidirectionalStream, WebTransportReceiveStream, WebTransportSendStream]) {
    assert.throws(() => new Class(), TypeError);
  }
});

for (const from of ['client', 'server']) {
  const to = from === 'client' ? 'server' : 'client';
  test(`8 MiB from the ${from} on a unidirectional stream`, async (context) => {
    const session = await openSession(context);
    const content = randomBytes(8 * MIB);
    const writable = await session[from].createUnidirectionalStream();
    const [received] = await Promise.all([
      next(session[to].incomingUnidirectionalStreams).then(readAll),
      writeAll(writable, content),
    ]);
    assert.equal(sha256(received), sha256(content));
  });

  test(`8 MiB there and back on the ${from}'s bidirectional stream`, async (context) => {
    const session = await openSession(context);
    const content = randomBytes(8 * MIB);
    const { readable, writable } = await session[from].createBidirectionalStream();
    const echo = async () => {
      const stream = await next(session[to].incomingBidirectionalStreams);
      await stream.readable.pipeTo(stream.writable);
    };
    const [received] = await Promise.all([readAll(readable), echo(), writeAll(writable, content)]);
    assert.equal(sha256(received), sha256(content));
  });
}

test('chunks of every size and type arrive in order', async (context) => {
  const { client, server } = await openSession(context);
  const writer = (await client.createUnidirectionalStream()).getWriter();
  const chunks = [
    new Uint8Array(0),
    Uint8Array.of(1),
    Uint16Array.of(0x0302),
    new DataView(Uint8Array.of(0, 4, 5, 0).buffer, 1, 2),
    Uint8Array.of(6).buffer,
    new Uint8Array(100_000).fill(7),
  ];
  for (const chunk of chunks) writer.write(chunk);
  writer.close();
  const received = await readAll(await next(server.incomingUnidirectionalStreams));
  assert.deepEqual([...received.subarray(0, 6)], [1, 2, 3, 4, 5, 6]);
  assert.equal(received.length, 100_006);
  assert.ok(received.subarray(6).every((byte) => byte === 7));
});

test('a chunk is copied at the write', async (context) => {
  const { client, server } = await openSession(context);
  const writer = (await client.createUnidirectionalStream()).getWriter();
  await writer.ready;
  const chunk = Uint8Array.of(1, 2, 3);
  const written = writer.write(chunk);
  await written;
  chunk.fill(9);
  writer.close();
  assert.deepEqual([...(await readAll(await next(server.incomingUnidirectionalStreams)))], [1, 2, 3]);
});

test('a chunk that is no buffer errors the stream', async (context) => {
  const { client } = await openSession(context);
  const writer = (await client.createUnidirectionalStream()).getWriter();
  await assert.rejects(writer.write('text'), TypeError);
  await assert.rejects(writer.closed, TypeError);
});

test('a reader with a buffer of its own', async (context) => {
  const { client, server } = await openSession(context);
  const writer = (await client.createUnidirectionalStream()).getWriter();
  await writer.write(Uint8Array.of(1, 2, 3, 4, 5));
  writer.close();
  const reader = (await next(server.incomingUnidirectionalStreams)).getReader({ mode: 'byob' });
  const first = await reader.read(new Uint8Array(2));
  assert.deepEqual([...first.value], [1, 2]);
  const rest = await reader.read(new Uint8Array(10));
  assert.deepEqual([...rest.value], [3, 4, 5]);
  const end = await reader.read(new Uint8Array(10));
  assert.deepEqual([end.done, end.value.byteLength], [true, 0]);
});

test('what nobody reads holds the writer, and only that one', async (context) => {
  const session = await openSession(context);
  const { near, far } = await openStreams(session);
  const writer = near.writable.getWriter();
  const chunk = new Uint8Array(64 * 1024);
  let taken = 0;
  const write = () => writer.write(chunk).then(() => (taken += 1));
  let written = 0;
  // A write that is not taken while both ends have exchanged so much on other streams is held.
  for (let before = -1; before < taken; written += 1) {
    before = taken;
    write();
    for (let turn = 0; turn < 20 && taken === before; turn += 1) {
      await writeAll(await session.client.createUnidirectionalStream(), Uint8Array.of(1));
      await readAll(await next(session.server.incomingUnidirectionalStreams));
    }
  }
  assert.ok(taken * chunk.byteLength < 16 * MIB, `${taken} chunks were taken with nobody reading`);
  const received = readAll(far.readable);
  for (; written < 512; written += 1) await write();
  await writer.close();
  assert.equal((await received).length, 512 * chunk.byteLength + 1);
});

for (const [what, reason, code] of [
  ['a code', new WebTransportError('', { streamErrorCode: 17 }), 17],
  ['the largest code', new WebTransportError('', { streamErrorCode: 2 ** 32 - 1 }), 2 ** 32 - 1],
  ['an error without a code', new WebTransportError(), 0],
  ['another reason', new Error('any'), 0],
  ['no reason', undefined, 0],
]) {
  test(`abort with ${what}: the reader gets ${code}`, async (context) => {
    const { near, far } = await openStreams(await openSession(context));
    await next(far.readable);
    const reader = far.readable.getReader();
    const reading = assert.rejects(reader.read(), (error) => {
      assert.ok(error instanceof WebTransportError);
      assert.deepEqual([error.source, error.streamErrorCode], ['stream', code]);
      return true;
    });
    await near.writable.abort(reason);
    await reading;
    await assert.rejects(reader.closed, WebTransportError);
  });

  test(`cancel with ${what}: the writer gets ${code}`, async (context) => {
    const { near, far } = await openStreams(await openSession(context));
    await far.readable.cancel(reason);
    const writer = near.writable.getWriter();
    await assert.rejects(writer.closed, (error) => {
      assert.ok(error instanceof WebTransportError);
      assert.deepEqual([error.source, error.streamErrorCode], ['stream', code]);
      return true;
    });
    await assert.rejects(writer.write(Uint8Array.of(1)), WebTransportError);
  });
}

test('abort does not wait for a write that is held', async (context) => {
  const session = await openSession(context);
  const { near, far } = await openStreams(session);
  const writer = near.writable.getWriter();
  const writing = writer.write(new Uint8Array(32 * MIB));
  const reason = new WebTransportError('', { streamErrorCode: 4 });
  const aborted = writer.abort(reason);
  await assert.rejects(writing, (error) => error === reason);
  await aborted;
  await assert.rejects(readAll(far.readable), { streamErrorCode: 4 });
});

test('close waits until the peer has everything; one half may end before the other', async (context) => {
  const { near, far } = await openStreams(await openSession(context));
  await near.writable.close();
  assert.equal((await readAll(far.readable)).length, 1);
  await writeAll(far.writable, Uint8Array.of(5));
  assert.deepEqual([...(await readAll(near.readable))], [5]);
});

test('an empty stream', async (context) => {
  const { client, server } = await openSession(context);
  const writable = await client.createUnidirectionalStream();
  const closed = writable.close();
  assert.equal((await readAll(await next(server.incomingUnidirectionalStreams))).length, 0);
  await closed;
});

test('tee, pipeThrough and async iteration', async (context) => {
  const { client, server } = await openSession(context);
  writeAll(await client.createUnidirectionalStream(), new TextEncoder().encode('some text'));
  const [one, two] = (await next(server.incomingUnidirectionalStreams)).tee();
  const decoded = [];
  for await (const text of one.pipeThrough(new TextDecoderStream())) decoded.push(text);
  assert.equal(decoded.join(''), 'some text');
  assert.equal((await readAll(two)).toString(), 'some text');
});

test('a thousand streams, one after the other and at once', async (context) => {
  const { client, server } = await openSession(context);
  const serve = async () => {
    for await (const { readable, writable } of server.incomingBidirectionalStreams) readable.pipeTo(writable);
  };
  const serving = serve();
  const exchange = async (index) => {
    const { readable, writable } = await client.createBidirectionalStream({ waitUntilAvailable: true });
    writeAll(writable, Uint32Array.of(index)).catch(() => {});
    const bytes = await readAll(readable);
    assert.equal(bytes.readUInt32LE(), index);
  };
  for (let index = 0; index < 200; index += 1) await exchange(index);
  await Promise.all(Array.from({ length: 800 }, (_, index) => exchange(index)));
  client.close();
  await serving;
});

test('streams beyond the limit: QuotaExceededError, or waiting in order', async (context) => {
  const { client, server } = await openSession(context);
  const open = [];
  for (;;) {
    try {
      open.push(await client.createUnidirectionalStream());
    } catch (error) {
      assert.equal(error.name, 'QuotaExceededError');
      // Node has the class from 26 on.
      const { QuotaExceededError } = globalThis;
      assert.equal(error.constructor, QuotaExceededError ?? DOMException);
      if (QuotaExceededError !== undefined) assert.deepEqual([error.requested, error.quota], [null, null]);
      break;
    }
  }
  assert.ok(open.length >= 100, `${open.length} streams are allowed`);
  const order = [];
  const waiting = [1, 2].map((name) =>
    client.createUnidirectionalStream({ waitUntilAvailable: true }).then(() => order.push(name)),
  );
  for (let count = 0; count < open.length; count += 1) {
    (await next(server.incomingUnidirectionalStreams)).cancel();
  }
  await Promise.all(waiting);
  assert.deepEqual(order, [1, 2]);
});

test('streams are transferable, and arrive as plain streams', async (context) => {
  const { near, far } = await openStreams(await openSession(context));
  const [{ readable }, { writable }] = [far, near];
  const transferred = structuredClone({ readable, writable }, { transfer: [readable, writable] });
  assert.deepEqual([readable.locked, writable.locked], [true, true]);
  assert.equal(Object.getPrototypeOf(transferred.readable), ReadableStream.prototype);
  assert.equal(Object.getPrototypeOf(transferred.writable), WritableStream.prototype);
  const [received] = await Promise.all([
    readAll(transferred.readable),
    writeAll(transferred.writable, Uint8Array.of(2, 3)),
  ]);
  assert.deepEqual([...received], [1, 2, 3]);
});

test('a second lock is refused', async (context) => {
  const { near, far } = await openStreams(await openSession(context));
  far.readable.getReader();
  near.writable.getWriter();
  assert.throws(() => far.readable.getReader(), TypeError);
  assert.throws(() => near.writable.getWriter(), TypeError);
});

test('a pipe that fails gives up its stream: a sink that takes nothing, a source that breaks', async (context) => {
  const { near, far } = await openStreams(await openSession(context));
  const error = new Error('full');
  const full = new WritableStream({ write: () => Promise.reject(error) });
  const isGivenUp = (reason) =>
    reason instanceof WebTransportError && reason.source === 'stream' && reason.streamErrorCode === 0;
  await assert.rejects(far.readable.pipeTo(full), error);
  await assert.rejects(near.writable.getWriter().closed, isGivenUp);
  const broken = new ReadableStream({ start: (controller) => controller.error(error) });
  await assert.rejects(broken.pipeTo(far.writable), error);
  await assert.rejects(near.readable.getReader().read(), isGivenUp);
});
