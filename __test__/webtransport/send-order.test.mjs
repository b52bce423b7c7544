// Send groups and send orders. Nothing here depends on time: the peer's flow control leaves room for the streams that come
// first, and for a part only of what all together want. https://www.w3.org/TR/webtransport/#send-order-rules

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { connect, next, openSession, readAll, writeAll } from './pair.mjs';

const { WebTransportSendGroup, WebTransportWriter } = webwire;

/** What a stream may have unread is 1.25 MB; a connection 16 MiB, and it is told of new room in steps of an eighth. */
const LONG = 1_200_000;
const FILLING = 13;
const TIME_LIMIT = { timeout: 60_000 };

/** Uses the room of the connection up; `read` makes some. */
async function fill({ client, server }) {
  const group = client.createSendGroup();
  for (let index = 0; index < FILLING; index += 1) {
    const writer = (await client.createUnidirectionalStream()).getWriter();
    writer.write(new Uint8Array(LONG));
    await writer.close();
  }
  const last = (await client.createUnidirectionalStream({ sendOrder: 1000 })).getWriter();
  last.write(new Uint8Array(LONG)).catch(() => {});
  // Two of them read to their end leave room for two megabytes.
  const read = async () => {
    for (let index = 0; index < 2; index += 1) await readAll(await next(server.incomingUnidirectionalStreams));
  };
  return { read, group };
}

/** Opens streams and writes to all of them: `[options, length]` each. Resolves to functions that wait until the peer has all. */
async function write(client, streams) {
  const writables = [];
  for (const [options] of streams) writables.push(await client.createUnidirectionalStream(options));
  return writables.map((writable, index) => {
    const writer = writable.getWriter();
    writer.write(new Uint8Array(streams[index][1])).catch(() => {});
    const closed = writer.close();
    closed.catch(() => {});
    return closed;
  });
}

test('a higher order is sent first, whatever was written before', TIME_LIMIT, async (context) => {
  const session = await openSession(context);
  const { read } = await fill(session);
  const lower = [{ sendOrder: 1 }, LONG];
  const closed = await write(session.client, [lower, lower, [{ sendOrder: 2 }, 1_000_000], lower, lower]);
  // Shared alike, nobody could finish; and one after the other, this one could not.
  await read();
  await closed[2];
});

test('an order can be changed while the stream waits', TIME_LIMIT, async (context) => {
  const session = await openSession(context);
  const { read } = await fill(session);
  const writables = [];
  for (let index = 0; index < 5; index += 1) writables.push(await session.client.createUnidirectionalStream());
  const closed = writables.map((writable) => {
    const writer = writable.getWriter();
    writer.write(new Uint8Array(1_000_000)).catch(() => {});
    const end = writer.close();
    end.catch(() => {});
    return end;
  });
  writables[2].sendOrder = 1;
  await read();
  await closed[2];
});

test('groups share alike, whatever their orders and however many streams they have', TIME_LIMIT, async (context) => {
  const session = await openSession(context);
  const { read, group } = await fill(session);
  const other = session.client.createSendGroup();
  const lower = [{ sendGroup: group, sendOrder: 5 }, LONG];
  const closed = await write(session.client, [
    lower,
    [{ sendGroup: group, sendOrder: 6 }, 650_000],
    [{ sendGroup: other, sendOrder: -5 }, 650_000],
    lower,
    lower,
  ]);
  // Of five that share alike nobody could finish. A lower order may get a piece when QUIC gets room just between two looks.
  await read();
  await Promise.all(closed.slice(1, 3));
});

test('a stream that its own flow control holds starves nobody', TIME_LIMIT, async (context) => {
  const { client, server } = await openSession(context);
  const high = (await client.createUnidirectionalStream({ sendOrder: 2 })).getWriter();
  high.write(new Uint8Array(2 * LONG)).catch(() => {});
  const low = (await client.createUnidirectionalStream({ sendOrder: 1 })).getWriter();
  low.write(new Uint8Array(LONG)).catch(() => {});
  await low.close();
  // What was held goes on.
  const readable = await next(server.incomingUnidirectionalStreams);
  high.close();
  assert.equal((await readAll(readable)).length, 2 * LONG);
});

test('all of it arrives, with datagrams between', TIME_LIMIT, async (context) => {
  const { client, server } = await openSession(context);
  const groups = [null, client.createSendGroup(), client.createSendGroup()];
  const sent = Array.from({ length: 24 }, async (_, index) => {
    const options = { sendGroup: groups[index % 3], sendOrder: index % 4 };
    const writable = await client.createUnidirectionalStream(options);
    const writer = writable.getWriter();
    for (let chunk = 0; chunk < 10; chunk += 1) writer.write(new Uint8Array(10_000).fill(index));
    await writer.close();
  });
  const writers = groups.map((sendGroup, sendOrder) =>
    client.datagrams.createWritable({ sendGroup, sendOrder }).getWriter(),
  );
  const arrived = new Set();
  const receive = async () => {
    while (arrived.size < groups.length) arrived.add((await next(server.datagrams.readable))[0]);
  };
  // They may get lost.
  const repeat = async () => {
    while (arrived.size < groups.length) {
      await Promise.all(writers.map((writer, index) => writer.write(Uint8Array.of(index))));
      await exchange(client, server);
    }
  };
  const received = receive();
  for (let index = 0; index < sent.length; index += 1) {
    const bytes = await readAll(await next(server.incomingUnidirectionalStreams));
    assert.equal(bytes.length, 100_000);
    assert.ok(bytes.every((byte) => byte === bytes[0]));
  }
  await Promise.all([...sent, received, repeat()]);
});

/** A stream there, of which the server reads everything. */
async function exchange(client, server) {
  const { writable } = await client.createBidirectionalStream();
  const [{ readable }] = await Promise.all([
    next(server.incomingBidirectionalStreams),
    writeAll(writable, Uint8Array.of(1)),
  ]);
  await readAll(readable);
}

test('sendGroup and sendOrder of streams and of writables for datagrams', async (context) => {
  const { client, listener } = await openSession(context);
  const other = connect(listener);
  context.after(() => other.close());
  await (await listener.request()).accept();
  await other.ready;
  const foreign = other.createSendGroup();
  const group = client.createSendGroup();
  assert.ok(group instanceof WebTransportSendGroup);
  const stream = await client.createBidirectionalStream({ sendGroup: group, sendOrder: -7 });
  for (const one of [
    stream.writable,
    await client.createUnidirectionalStream({ sendGroup: group, sendOrder: -7 }),
    client.datagrams.createWritable({ sendGroup: group, sendOrder: -7 }),
  ]) {
    assert.deepEqual([one.sendGroup, one.sendOrder], [group, -7]);
    assert.throws(
      () => {
        one.sendGroup = foreign;
      },
      { name: 'InvalidStateError' },
    );
    assert.throws(() => {
      one.sendGroup = {};
    }, TypeError);
    one.sendGroup = null;
    one.sendOrder = '12.9';
    assert.deepEqual([one.sendGroup, one.sendOrder], [null, 12]);
  }
  const plain = await client.createUnidirectionalStream();
  assert.deepEqual([plain.sendGroup, plain.sendOrder], [null, 0]);
  await assert.rejects(client.createBidirectionalStream({ sendGroup: foreign }), TypeError);
  await assert.rejects(client.createUnidirectionalStream({ sendGroup: foreign }), TypeError);
  assert.throws(() => client.datagrams.createWritable({ sendGroup: foreign }), TypeError);
  assert.throws(() => new WebTransportSendGroup(), TypeError);
});

for (const [given, sendOrder] of [
  [2 ** 53 - 1, 2 ** 53 - 1],
  [2 ** 63 - 1024, 2 ** 63 - 1024],
  [-(2 ** 63), -(2 ** 63)],
  // Web IDL's long long: modulo 2^64.
  [2 ** 63, -(2 ** 63)],
  [2 ** 64, 0],
  [2 ** 64 + 4096, 4096],
  [-1.9, -1],
  [Number.NaN, 0],
  [Infinity, 0],
  [Number.MAX_VALUE, 0],
]) {
  test(`a send order of ${given} is ${sendOrder}`, async (context) => {
    const { client, server } = await openSession(context);
    const first = await client.createUnidirectionalStream({ sendOrder: given });
    const second = await client.createUnidirectionalStream();
    second.sendOrder = given;
    const datagrams = client.datagrams.createWritable({ sendOrder: given });
    assert.deepEqual(
      [first, second, datagrams].map((one) => one.sendOrder),
      [sendOrder, sendOrder, sendOrder],
    );
    const received = next(server.datagrams.readable);
    await datagrams.getWriter().write(Uint8Array.of(1));
    await Promise.all([writeAll(first, Uint8Array.of(2)), writeAll(second, Uint8Array.of(2))]);
    for (let count = 0; count < 2; count += 1) {
      assert.deepEqual([...(await readAll(await next(server.incomingUnidirectionalStreams)))], [2]);
    }
    assert.deepEqual([...(await received)], [1]);
  });
}

test('a send order that is no number throws', async (context) => {
  const { client } = await openSession(context);
  const stream = await client.createUnidirectionalStream({ sendOrder: 5 });
  for (const sendOrder of [1n, Symbol('x')]) {
    await assert.rejects(client.createUnidirectionalStream({ sendOrder }), TypeError);
    assert.throws(() => client.datagrams.createWritable({ sendOrder }), TypeError);
    assert.throws(() => {
      stream.sendOrder = sendOrder;
    }, TypeError);
  }
  assert.equal(stream.sendOrder, 5);
});

test('the extremes of send orders are above and below all others', TIME_LIMIT, async (context) => {
  const session = await openSession(context);
  const { read } = await fill(session);
  const [lowest, highest] = [{ sendOrder: -(2 ** 63) }, { sendOrder: 2 ** 63 - 1024 }];
  const lower = [lowest, LONG];
  const middle = [{ sendOrder: 0 }, LONG];
  const closed = await write(session.client, [lower, middle, [highest, 1_000_000], middle, lower]);
  await read();
  await closed[2];
});

test('after the end there are no groups any more', async (context) => {
  const { client } = await openSession(context);
  client.close();
  assert.throws(() => client.createSendGroup(), { name: 'InvalidStateError' });
  assert.throws(() => client.datagrams.createWritable(), { name: 'InvalidStateError' });
});

test('getStats of streams and groups', async (context) => {
  const { client, server } = await openSession(context);
  const sendGroup = client.createSendGroup();
  const first = await client.createUnidirectionalStream({ sendGroup });
  const second = await client.createUnidirectionalStream();
  const writer = first.getWriter();
  await writer.write(new Uint8Array(1000));
  assert.deepEqual(await first.getStats(), { bytesWritten: 1000 });
  const others = second.getWriter();
  await others.write(new Uint8Array(500));
  assert.deepEqual(await sendGroup.getStats(), { bytesWritten: 1000 });
  second.sendGroup = sendGroup;
  assert.deepEqual(await sendGroup.getStats(), { bytesWritten: 1500 });
  first.sendGroup = null;
  assert.deepEqual(await sendGroup.getStats(), { bytesWritten: 500 });
  await writer.close();
  assert.deepEqual(await first.getStats(), { bytesWritten: 1000, bytesSent: 1000, bytesAcknowledged: 1000 });

  const readable = await next(server.incomingUnidirectionalStreams);
  const reader = readable.getReader({ mode: 'byob' });
  await reader.read(new Uint8Array(300));
  assert.equal((await readable.getStats()).bytesRead, 300);
  for (;;) {
    if ((await reader.read(new Uint8Array(300))).done) break;
  }
  assert.deepEqual(await readable.getStats(), { bytesReceived: 1000, bytesRead: 1000 });
});

test('what stands in QUIC unread is not counted as received', TIME_LIMIT, async (context) => {
  const { client, server } = await openSession(context);
  const writer = (await client.createUnidirectionalStream()).getWriter();
  writer.write(new Uint8Array(LONG));
  await writer.close();
  const readable = await next(server.incomingUnidirectionalStreams);
  const reader = readable.getReader({ mode: 'byob' });
  await reader.read(new Uint8Array(1));
  const { bytesRead, bytesReceived = LONG } = await readable.getStats();
  assert.equal(bytesRead, 1);
  assert.ok(bytesReceived >= 1 && bytesReceived <= LONG);
});

test('a writer of a send stream is a WebTransportWriter', async (context) => {
  const { client, server } = await openSession(context);
  const stream = await client.createUnidirectionalStream();
  const writer = stream.getWriter();
  assert.ok(writer instanceof WebTransportWriter && writer instanceof WritableStreamDefaultWriter);
  assert.throws(() => stream.getWriter(), TypeError);
  assert.throws(() => new WebTransportWriter(stream), TypeError);
  assert.throws(() => writer.commit(), { name: 'NotSupportedError' });
  assert.equal(await writer.atomicWrite(Uint8Array.of(1, 2)), undefined);
  await writer.atomicWrite(new ArrayBuffer(0));
  await writer.write(Uint8Array.of(3));
  await Promise.all([writer.atomicWrite(Uint8Array.of(4)), writer.write(Uint8Array.of(5)), writer.close()]);
  assert.deepEqual([...(await readAll(await next(server.incomingUnidirectionalStreams)))], [1, 2, 3, 4, 5]);
  assert.deepEqual(await stream.getStats(), { bytesWritten: 5, bytesSent: 5, bytesAcknowledged: 5 });
  writer.releaseLock();
  await assert.rejects(writer.atomicWrite(Uint8Array.of(1)), TypeError);
  await assert.rejects(WebTransportWriter.prototype.atomicWrite.call({}), TypeError);
});

/** A stream on which flow control has room for so many bytes; the three of its header count too. */
async function nearlyFull({ client, server }, room) {
  const writable = await client.createUnidirectionalStream();
  const writer = writable.getWriter();
  const filling = 1_250_000 - 3 - room;
  await writer.write(new Uint8Array(filling));
  return { writable, writer, filling, readable: () => next(server.incomingUnidirectionalStreams) };
}

test('an atomic write that flow control has no room for rejects, and the stream lives', TIME_LIMIT, async (context) => {
  const session = await openSession(context);
  const { writable, writer, filling, readable } = await nearlyFull(session, 0);
  const refused = [writer.atomicWrite(Uint8Array.of(1)), writer.atomicWrite(Uint8Array.of(2))];
  for (const write of refused) await assert.rejects(write, { name: 'AbortError' });
  assert.deepEqual(await writable.getStats(), { bytesWritten: filling });
  const all = readable().then(readAll);
  await writer.write(Uint8Array.of(3));
  await writer.atomicWrite(Uint8Array.of(4));
  await writer.close();
  const received = await all;
  assert.deepEqual([received.length, ...received.subarray(filling)], [filling + 2, 3, 4]);
});

test('an atomic write with a plain one behind it errors the stream', TIME_LIMIT, async (context) => {
  const { writer } = await nearlyFull(await openSession(context), 0);
  const writes = [writer.atomicWrite(Uint8Array.of(1)), writer.write(Uint8Array.of(2)), writer.closed];
  for (const write of writes) await assert.rejects(write, { name: 'AbortError' });
});

test('an atomic write of which QUIC takes a part errors the stream', TIME_LIMIT, async (context) => {
  const { writer } = await nearlyFull(await openSession(context), 10);
  await assert.rejects(writer.atomicWrite(new Uint8Array(11)), { name: 'AbortError' });
  await assert.rejects(writer.closed, { name: 'AbortError' });
});

test('an atomic write that is no buffer errors the stream', async (context) => {
  const { client } = await openSession(context);
  const writer = (await client.createUnidirectionalStream()).getWriter();
  await assert.rejects(writer.atomicWrite(), TypeError);
  await assert.rejects(writer.closed, TypeError);
});
