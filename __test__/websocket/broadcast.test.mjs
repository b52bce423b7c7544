// One message to all sockets of a server.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import Ws from 'ws';
import { createCertificate } from '../helpers/certificate.mjs';
import { frameClient, listening, next } from '../helpers/websocket-ends.mjs';

/** A server with `count` clients of another make, all open at both ends. */
async function clients(t, count, options = {}) {
  const { server, url } = await listening(t, () => {}, options);
  const near = Array.from({ length: count }, () => new Ws(url, { ca: options.cert }));
  t.after(() => {
    for (const client of near) client.terminate();
  });
  const received = near.map((client) => {
    const messages = [];
    client.on('message', (data, isBinary) => messages.push(isBinary ? data : String(data)));
    return messages;
  });
  await Promise.all(near.map((client) => once(client, 'open')));
  while (server.clients.size < count) await new Promise(setImmediate);
  return { server, near, received };
}

/** Waits until all have so many messages. */
async function until(received, count) {
  while (received.some((messages) => messages.length < count)) await new Promise(setImmediate);
}

for (const [name, options] of [
  ['TCP', {}],
  ['TLS', createCertificate()],
  ['compression', { perMessageDeflate: true }],
]) {
  test(`text, bytes and long messages to all, in order with those to one (${name})`, async (t) => {
    const { server, near, received } = await clients(t, 5, options);
    const long = Buffer.alloc(1_000_000, 3);
    for (const socket of server.clients) socket.send('before, by itself');
    assert.equal(server.broadcast('grüße'), 5);
    for (const socket of server.clients) {
      for (const text of ['a', 'b']) socket.send(text);
    }
    assert.equal(server.broadcast(new Uint8Array([1, 2, 3]).subarray(1)), 5);
    assert.equal(server.broadcast(long), 5);
    assert.equal(server.broadcast(''), 5);
    const expected = ['before, by itself', 'grüße', 'a', 'b', Buffer.from([2, 3]), long, ''];
    await until(received, expected.length);
    for (const messages of received) assert.deepEqual(messages, expected);
    for (const socket of server.clients) while (socket.bufferedAmount > 0) await new Promise(setImmediate);
    near[0].close();
    await once(near[0], 'close');
    while (server.clients.size > 4) await new Promise(setImmediate);
    assert.equal(server.broadcast('fewer'), 4);
    await until(received.slice(1), expected.length + 1);
  });
}

test('except and filter', async (t) => {
  const { server, received } = await clients(t, 3);
  const [first, second] = server.clients;
  assert.equal(server.broadcast('not the first', { except: first }), 2);
  assert.equal(server.broadcast('the second', { filter: (socket) => socket === second }), 1);
  server.broadcast('end');
  while (received.some((messages) => messages.at(-1) !== 'end')) await new Promise(setImmediate);
  assert.deepEqual(received.map((messages) => messages.length).sort(), [1, 2, 3]);
  for (const options of [{ except: 1 }, { filter: 1 }, 1])
    assert.throws(() => server.broadcast('', options), TypeError);
  assert.throws(() => server.broadcast(), TypeError);
});

test('behind a Blob that is still being read', async (t) => {
  const { server, received } = await clients(t, 2);
  const [first] = server.clients;
  first.send(new Blob(['blob']));
  server.broadcast('behind');
  await until(received, 1);
  while (!received.some((messages) => messages.length === 2)) await new Promise(setImmediate);
  const both = received.find((messages) => messages.length === 2);
  assert.deepEqual(both.map(String), ['blob', 'behind']);
});

test('what a slow client does not take counts as buffered, and is given up at the limit', async (t) => {
  const { server, port } = await listening(t, () => {}, { maxQueuedBytes: 3_000_000 });
  await frameClient(t, port);
  while (server.clients.size < 1) await new Promise(setImmediate);
  const [slow] = server.clients;
  const closed = next(slow, 'close');
  const data = Buffer.alloc(1_000_000);
  let buffered = 0;
  while (slow.readyState === slow.OPEN) {
    server.broadcast(data);
    buffered = Math.max(buffered, slow.bufferedAmount);
    await new Promise(setImmediate);
  }
  assert.equal((await closed).code, 1006);
  assert.ok(buffered >= 1_000_000);
});
