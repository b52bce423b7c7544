// Networks that lose, double, reorder and damage packets, move a client to another address, or fall silent.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { numbers } from '../helpers/random.mjs';
import { startUdpProxy } from '../helpers/udp-proxy.mjs';
import { connect, next, readAll, startServer, writeAll } from './pair.mjs';

const { WebTransportError } = webwire;

const KIB = 1024;
/** An idle timeout that is to pass, and long enough for the handshake on a busy machine. */
const SOON = { idleTimeoutMs: 3000 };
const isSessionError = (error) => error instanceof WebTransportError && error.source === 'session';
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** A session through a proxy. */
async function throughProxy(context, rates, { server: serverOptions, client: clientOptions } = {}) {
  const listener = await startServer(context, serverOptions);
  const proxy = await startUdpProxy(context, listener.server.address().port, rates);
  const client = connect({ ...listener, url: `https://127.0.0.1:${proxy.port}/` }, clientOptions);
  const server = await (await listener.request()).accept();
  await client.ready;
  context.after(() => client.close());
  return { client, server, proxy, listener };
}

/** Sends `content` there and back, and checks it. */
async function exchange({ client, server }, content, seen = () => {}) {
  const { readable, writable } = await client.createBidirectionalStream();
  const echo = async () => {
    const stream = await next(server.incomingBidirectionalStreams);
    await stream.readable.pipeTo(stream.writable);
  };
  const read = async () => {
    const chunks = [];
    for await (const chunk of readable) {
      chunks.push(chunk);
      await seen(chunk);
    }
    return Buffer.concat(chunks);
  };
  const [received] = await Promise.all([read(), echo(), writeAll(writable, content)]);
  assert.equal(sha256(received), sha256(content));
}

for (const [what, rates, bytes] of [
  ['loses 5 %', { loss: 0.05 }, 512 * KIB],
  ['loses 20 %', { loss: 0.2 }, 64 * KIB],
  ['doubles 20 %', { duplicate: 0.2 }, 1024 * KIB],
  ['reorders 10 %', { reorder: 0.1 }, 1024 * KIB],
  ['damages 1 %', { corrupt: 0.01 }, 512 * KIB],
  ['loses 5 %, doubles and reorders', { loss: 0.05, duplicate: 0.05, reorder: 0.1 }, 512 * KIB],
  ['delays by 5 to 200 ms', { delayMs: [5, 200] }, 64 * KIB],
  ['does all of it', { loss: 0.03, duplicate: 0.05, reorder: 0.1, corrupt: 0.01 }, 256 * KIB],
]) {
  test(`a network that ${what}: all bytes arrive`, async (context) => {
    const session = await throughProxy(context, { seed: 7, ...rates });
    await exchange(session, randomBytes(bytes));
    const { lost, duplicated, reordered, corrupted, delayed } = session.proxy.stats;
    assert.deepEqual(
      [lost > 0, duplicated > 0, reordered > 0, corrupted > 0, delayed > 0],
      ['loss', 'duplicate', 'reorder', 'corrupt', 'delayMs'].map((rate) => rate in rates),
    );
  });
}

test('a network that loses half: all bytes arrive, or the session fails cleanly', async (context) => {
  const { client, server, proxy } = await throughProxy(context, {}, { server: SOON, client: SOON });
  const draw = numbers(50);
  proxy.filter = () => draw(2) === 0;
  const ends = [client.closed, server.closed];
  const failed = Promise.allSettled(ends);
  try {
    await exchange({ client, server }, randomBytes(16 * KIB));
  } catch (error) {
    assert.ok(isSessionError(error), error);
    for (const { reason } of await failed) assert.ok(isSessionError(reason), reason);
  }
});

test('an MTU of 1280 bytes: all bytes arrive, and datagrams of the greatest size', async (context) => {
  const { client, server, proxy } = await throughProxy(context, { mtu: 1280 });
  await exchange({ client, server }, randomBytes(1024 * KIB));
  // Larger packets were tried.
  assert.ok(proxy.stats.tooLarge > 0);
  const size = client.datagrams.maxDatagramSize;
  assert.ok(size > 1000 && size < 1252, `${size}`);
  await client.datagrams.createWritable().getWriter().write(new Uint8Array(size));
  assert.equal((await next(server.datagrams.readable)).length, size);
});

test('an MTU that falls to 1280 in mid transfer: all bytes arrive, and maxDatagramSize falls', async (context) => {
  const session = await throughProxy(context);
  const { client, server, proxy } = session;
  const { datagrams } = client;
  // What the path takes is found out while there is something to send.
  while (datagrams.maxDatagramSize <= 1252) await exchange(session, randomBytes(128 * KIB));
  const lower = async () => {
    proxy.mtu = 1280;
  };
  await exchange(session, randomBytes(512 * KIB), lower);
  assert.ok(proxy.stats.tooLarge > 0);
  while (datagrams.maxDatagramSize > 1252) await exchange(session, randomBytes(128 * KIB));
  const size = datagrams.maxDatagramSize;
  await datagrams.createWritable().getWriter().write(new Uint8Array(size));
  assert.equal((await next(server.datagrams.readable)).length, size);
});

test('a client whose address changes in mid transfer, again and again, goes on', async (context) => {
  const session = await throughProxy(context);
  const ports = new Set();
  let at = 64 * KIB;
  let received = 0;
  await exchange(session, randomBytes(512 * KIB), async (chunk) => {
    received += chunk.byteLength;
    if (received < at) return;
    at += 128 * KIB;
    ports.add(await session.proxy.rebind());
  });
  assert.ok(ports.size >= 3, `${ports.size} changes`);
});

test('a packet that someone else sends on does not move the session', async (context) => {
  const { client, server, proxy } = await throughProxy(context);
  const spy = createSocket('udp4').bind(0, '127.0.0.1');
  context.after(() => spy.close());
  await once(spy, 'listening');
  let sent = 0;
  let got = 0;
  spy.on('message', ({ length }) => {
    got += length;
  });
  const port = proxy.serverPort;
  // The spy is faster with one packet in ten, and says nothing to what it gets for that.
  let count = 0;
  proxy.filter = (direction, packet) => {
    if (direction === 'down') return true;
    count += 1;
    if (count % 10 !== 0) return true;
    sent += packet.length;
    spy.send(packet, port, '127.0.0.1');
    return false;
  };
  await exchange({ client, server }, randomBytes(1024 * KIB));
  assert.ok(sent > 0);
  assert.ok(got <= 3 * sent, `${got} bytes for ${sent}`);
});

test('a network that falls silent: both ends fail after their idle timeout', async (context) => {
  const { client, server, proxy } = await throughProxy(context, {}, { client: SOON });
  const reading = client.incomingUnidirectionalStreams.getReader().read();
  proxy.filter = () => false;
  await assert.rejects(client.closed, isSessionError);
  await assert.rejects(reading, isSessionError);
  await assert.rejects(server.closed, isSessionError);
});

test('a network that falls silent in mid transfer: what is read and written fails, with the session', async (context) => {
  const { client, server, proxy } = await throughProxy(context, {}, { client: SOON });
  const { readable, writable } = await client.createBidirectionalStream();
  const writer = writable.getWriter();
  const write = async () => {
    for (;;) await writer.write(new Uint8Array(16 * KIB));
  };
  const read = async () => {
    let received = 0;
    for await (const chunk of readable) {
      received += chunk.byteLength;
      if (received > 256 * KIB) proxy.filter = () => false;
    }
  };
  const echo = async () => {
    const stream = await next(server.incomingBidirectionalStreams);
    await stream.readable.pipeTo(stream.writable);
  };
  const ends = [write(), read(), echo(), client.closed, server.closed];
  for (const { reason } of await Promise.allSettled(ends)) assert.ok(isSessionError(reason), reason);
});

test('a server whose address changes: QUIC has no such thing, both ends fail after their idle timeout', async (context) => {
  const { client, server, proxy } = await throughProxy(context, {}, { client: SOON });
  await proxy.moveServer();
  await assert.rejects(client.closed, isSessionError);
  await assert.rejects(server.closed, isSessionError);
});

test('silence that ends before the idle timeout harms nothing', async (context) => {
  const { client, server, proxy } = await throughProxy(context);
  const stream = await client.createUnidirectionalStream();
  proxy.filter = () => false;
  const writing = writeAll(stream, Uint8Array.of(1, 2, 3));
  // The first packet, and what is tried again.
  for (let count = 0; count < 6; count += 1) await once(proxy.events, 'up');
  proxy.filter = () => true;
  assert.deepEqual([...(await readAll(await next(server.incomingUnidirectionalStreams)))], [1, 2, 3]);
  await writing;
});

test('an idle session lives longer than its idle timeout: the client keeps it alive', async (context) => {
  const { client, server } = await throughProxy(context, {}, { client: SOON });
  // Another one that falls silent now lives for a longer time without a packet.
  const other = await throughProxy(context, {}, { client: { idleTimeoutMs: 2 * SOON.idleTimeoutMs } });
  other.proxy.filter = () => false;
  await assert.rejects(other.client.closed, isSessionError);
  await exchange({ client, server }, randomBytes(10));
});
