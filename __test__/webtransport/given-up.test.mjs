// Streams that a peer opens only to give them up ("rapid reset"): they cost nothing, and a flood of them ends it.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { connect, next, openSession, readAll, startServer, writeAll } from './pair.mjs';

const { WebTransportError } = webwire;

/** More than may be open at once. */
const MANY = 500;

const kinds = {
  async unidirectional(session) {
    const stream = await session.createUnidirectionalStream({ waitUntilAvailable: true });
    await stream.abort();
  },
  async bidirectional(session) {
    const { readable, writable } = await session.createBidirectionalStream({ waitUntilAvailable: true });
    await Promise.all([writable.abort(), readable.cancel()]);
  },
};

for (const [kind, giveUp] of Object.entries(kinds)) {
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

test('to open streams and give them up costs a client more than us', async (context) => {
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
  const before = process.cpuUsage();
  child.send({ url: listener.url, hash: [...listener.hash] });
  const [{ count, microseconds }] = await once(child, 'message');
  const { user, system } = process.cpuUsage(before);
  context.diagnostic(`${count} streams: ${microseconds} µs of CPU time there, ${user + system} here`);
  assert.ok(count >= 5 * 1024, `${count}`);
  assert.ok(user + system < microseconds, `${user + system} µs here, ${microseconds} there`);
});
