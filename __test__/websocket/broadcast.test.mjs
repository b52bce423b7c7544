// One message to all sockets of a server.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { constants, inflateRawSync } from 'node:zlib';
import Ws from 'ws';
import { createCertificate } from '../helpers/certificate.mjs';
import { frameClient, frames, listening, next } from '../helpers/websocket-ends.mjs';

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

/** The second half repeats the first, further away than a small window reaches. */
const json = JSON.stringify(Array(2).fill(Array.from({ length: 200 }, (_, id) => ({ id, name: `to all ${id ** 7}` }))));

test('compressed where that is agreed, once for all who have the same window', async (t) => {
  const { server, port } = await listening(t, () => {}, { perMessageDeflate: true });
  const offers = [
    'permessage-deflate',
    'permessage-deflate; server_no_context_takeover',
    'permessage-deflate; server_max_window_bits=9',
    undefined,
  ];
  const received = [];
  for (const offer of offers) {
    const client = await frameClient(t, port, offer ? [`Sec-WebSocket-Extensions: ${offer}`] : []);
    const chunks = [];
    client.on('data', (chunk) => chunks.push(chunk));
    received.push(chunks);
  }
  while (server.clients.size < offers.length) await new Promise(setImmediate);
  for (const [message, count] of [
    [json, 1],
    ['short', 2],
    [json, 3],
  ]) {
    assert.equal(server.broadcast(message), offers.length);
    while (received.some((chunks) => frames(Buffer.concat(chunks)).length < count)) await new Promise(setImmediate);
  }
  const seen = received.map((chunks) => frames(Buffer.concat(chunks)));
  const firsts = seen.map((all) => all.map(({ first }) => first));
  const compressed = [0xc1, 0x81, 0xc1];
  assert.deepEqual(firsts, [compressed, compressed, compressed, [0x81, 0x81, 0x81]]);
  const [takeover, noTakeover, small] = seen.map(([first]) => first.payload);
  assert.ok(takeover.equals(noTakeover));
  // A window of 512 bytes finds less.
  assert.ok(takeover.length < small.length && small.length < json.length);
  for (const [index, windowBits] of [15, 15, 9].entries()) {
    for (const at of [0, 2]) {
      // Each begins with an empty window.
      const options = { windowBits, finishFlush: constants.Z_SYNC_FLUSH };
      assert.equal(String(inflateRawSync(seen[index][at].payload, options)), json);
    }
  }
});

test('compressed, between messages that refer to each other', async (t) => {
  const { server, received } = await clients(t, 3, { perMessageDeflate: true });
  const [one, ...others] = server.clients;
  const long = json.repeat(100);
  const expected = [];
  for (const [index, message] of [json, `${json}!`, long, json].entries()) {
    for (const socket of server.clients) socket.send(`${index} ${json}`);
    server.broadcast(message);
    expected.push(`${index} ${json}`, message);
  }
  // Others get what one has not: their windows go apart.
  server.broadcast(json, { except: one });
  for (const socket of server.clients) socket.send(json);
  server.broadcast(json);
  while (received.filter((messages) => messages.length === expected.length + 3).length < others.length) {
    await new Promise(setImmediate);
  }
  while (received.some((messages) => messages.length < expected.length + 2)) await new Promise(setImmediate);
  for (const messages of received) {
    const rest = Array(messages.length - expected.length).fill(json);
    assert.deepEqual(messages, [...expected, ...rest]);
  }
});

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

test('a socket that the filter closes is left out', async (t) => {
  const { server, near } = await clients(t, 2);
  const [first] = server.clients;
  const closed = Promise.all(near.map((client) => once(client, 'close')));
  const filter = (socket) => {
    if (socket === first) socket.close();
    return true;
  };
  assert.equal(server.broadcast('text', { filter }), 1);
  await server.close();
  await closed;
});
