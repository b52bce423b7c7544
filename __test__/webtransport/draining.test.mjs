// A server that closes: it asks its sessions to end, waits for them, and ends what is left.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, next, openSession, readAll, startServer, writeAll } from './pair.mjs';

test('a server that closes asks its sessions to end, and they go on until they do', async (context) => {
  const { client, server, listener } = await openSession(context);
  const ended = listener.server.close({ timeoutMs: 60_000 });
  assert.equal(await client.draining, undefined);
  // Streams that are opened now, by either end, work.
  for (const [near, far] of [
    [client, server],
    [server, client],
  ]) {
    await writeAll(await near.createUnidirectionalStream(), Uint8Array.of(1, 2, 3));
    assert.deepEqual([...(await readAll(await next(far.incomingUnidirectionalStreams)))], [1, 2, 3]);
  }
  client.close({ closeCode: 4 });
  await ended;
  assert.equal((await server.closed).closeCode, 4);
});

test('what is left when the time is over ends with the code and the reason of the server', async (context) => {
  const { client, server, listener } = await openSession(context);
  await listener.server.close({ timeoutMs: 0, closeCode: 7, reason: 'restarting' });
  assert.deepEqual(await client.closed, { closeCode: 7, reason: 'restarting' });
  assert.deepEqual(await server.closed, { closeCode: 7, reason: 'restarting' });
});

test("a server's reason is cut to 1024 bytes between two characters, at both ends", async (context) => {
  const { client, server, listener } = await openSession(context);
  await listener.server.close({ timeoutMs: 0, reason: '€'.repeat(2000) });
  assert.equal((await client.closed).reason, '€'.repeat(341));
  assert.equal((await server.closed).reason, '€'.repeat(341));
});

test('a second close shortens the time', async (context) => {
  const { client, listener } = await openSession(context);
  const ended = listener.server.close({ timeoutMs: 60_000, closeCode: 1 });
  await client.draining;
  await Promise.all([ended, listener.server.close({ timeoutMs: 0, closeCode: 2 })]);
  assert.equal((await client.closed).closeCode, 2);
});

test('a request that has no answer when the server closes is refused', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const request = await listener.request();
  const ended = listener.server.close({ timeoutMs: 60_000 });
  await assert.rejects(client.ready, { name: 'WebTransportError' });
  assert.equal(request.signal.aborted, true);
  await ended;
});
