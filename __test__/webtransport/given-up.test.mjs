// Streams that a peer opens only to give them up ("rapid reset"): they cost nothing, and a flood of them ends it.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import webwire from '../../index.js';
import { connect, givingUp, next, openSession, openStreams, readAll, startServer, writeAll } from './pair.mjs';

const { WebTransportError } = webwire;
const { hub } = createRequire(import.meta.url)('../../dist/hub.js');

/** More than may be open at once. */
const MANY = 500;

for (const [kind, giveUp] of Object.entries(givingUp)) {
  for (const from of ['client', 'server']) {
    test(`${kind} streams that the ${from} gives up do not reach a script that looks later`, async (context) => {
      const session = await openSession(context);
      for (let count = 0; count < MANY; count += 1) await giveUp(session[from]);
      await writeAll(await session[from].createUnidirectionalStream({ waitUntilAvailable: true }), Uint8Array.of(5));
      const far = session[from === 'client' ? 'server' : 'client'];
      assert.deepEqual([...(await readAll(await next(far.incomingUnidirectionalStreams)))], [5]);
    });
  }

  test(`a flood of ${kind} streams that are given up ends that session, not the server`, async (context) => {
    const { client, server, listener } = await openSession(context);
    let count = 0;
    const flood = async () => {
      for (; ; count += 1) await giveUp(client);
    };
    await assert.rejects(flood());
    await assert.rejects(client.closed, (error) => error instanceof WebTransportError && error.source === 'session');
    await assert.rejects(server.closed, WebTransportError);
    assert.ok(count >= 1024, `${count} were allowed`);
    const another = connect(listener);
    const request = await listener.request();
    await request.accept();
    await another.ready;
    another.close();
  });
}

test('every open stream of a session whose connection is closed errors with it, at both ends', async (context) => {
  const isSessionError = (error) => error instanceof WebTransportError && error.source === 'session';
  const { client, server } = await openSession(context);
  const ends = [client.closed, server.closed];
  const hold = ({ readable, writable }) => {
    const [reader, writer] = [readable.getReader(), writable.getWriter()];
    ends.push(reader.read(), reader.closed, writer.closed);
    return writer;
  };
  const { near, far } = await openStreams({ client, server });
  await next(far.readable);
  const writers = [near, far].map(hold);
  for (const [from, to] of [
    [client, server],
    [server, client],
  ]) {
    const writer = (await from.createUnidirectionalStream()).getWriter();
    await writer.write(Uint8Array.of(1));
    const reader = (await next(to.incomingUnidirectionalStreams)).getReader();
    await reader.read();
    ends.push(writer.closed, reader.read(), reader.closed);
    writers.push(writer);
  }
  const outcomes = Promise.allSettled(ends);
  const flood = async () => {
    for (;;) await givingUp.unidirectional(client);
  };
  await assert.rejects(flood());
  for (const { reason } of await outcomes) assert.ok(isSessionError(reason), reason);
  for (const writer of writers) await assert.rejects(writer.write(Uint8Array.of(2)), isSessionError);
});

/** Counts the events that the native core hands to this thread from now on. */
function countEvents(context) {
  const { drain } = hub.native;
  const counted = { events: 0 };
  hub.native.drain = (...given) => {
    const count = drain.apply(hub.native, given);
    counted.events += count;
    return count;
  };
  context.after(() => {
    delete hub.native.drain;
  });
  return counted;
}

for (const kind of Object.keys(givingUp)) {
  test(`to open ${kind} streams and give them up costs a client more than us, and no event of ours`, async (context) => {
    const listener = await startServer(context);
    const sessions = [];
    const accept = async () => {
      for (let request = await listener.request(); request !== undefined; request = await listener.request()) {
        const session = await request.accept();
        session.closed.catch(() => {});
        sessions.push(session);
      }
    };
    accept();
    const child = fork(new URL('other-process.mjs', import.meta.url), ['flood']);
    context.after(() => child.kill());
    const counted = countEvents(context);
    const before = process.cpuUsage();
    child.send({ url: listener.url, hash: [...listener.hash], kind });
    const [{ count, microseconds }] = await once(child, 'message');
    const { user, system } = process.cpuUsage(before);
    context.diagnostic(`${count} streams: ${microseconds} µs of CPU time there, ${user + system} here`);
    assert.ok(count >= 5 * 1024, `${count}`);
    assert.ok(user + system < microseconds, `${user + system} µs here, ${microseconds} there`);
    // Of each session that it was asked for, and that it failed with its figures: of no stream.
    assert.ok(counted.events > 0 && counted.events < 100, `${counted.events} events`);
  });
}
