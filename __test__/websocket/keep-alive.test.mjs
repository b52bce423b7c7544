// A server's peers that are gone, or take nothing: pings that nobody answers, and the limit of what may wait.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { test } from 'node:test';
import Ws from 'ws';
import {
  all,
  echo,
  FAILED,
  frame,
  frameClient,
  frames,
  heard,
  listening,
  next,
  PONG,
  WebSocketServer,
} from '../helpers/websocket-ends.mjs';

/** Soon, so that the tests are; no test asks how soon. */
const keepAlive = { intervalMs: 20, timeoutMs: 30 };
const patient = { intervalMs: 20, timeoutMs: 600_000 };

/** Why sockets have failed, as their operator hears it. */
function failures(t) {
  const errors = new Map();
  const listener = ({ websocket, error }) => errors.set(websocket, [error.phase, error.code]);
  subscribe('webwire:websocket:error', listener);
  t.after(() => unsubscribe('webwire:websocket:error', listener));
  return errors;
}

test('options', () => {
  for (const wrong of [1, 'yes', { intervalMs: -1 }, { timeoutMs: 'x' }]) {
    assert.throws(() => new WebSocketServer({ keepAlive: wrong }), TypeError);
  }
  assert.throws(() => new WebSocketServer({ keepAlive: { intervalMs: 0 } }), RangeError);
  assert.throws(() => new WebSocketServer({ maxQueuedBytes: -1 }), TypeError);
});

test('a peer that answers no ping is dead: 1006', async (t) => {
  const errors = failures(t);
  const accepted = [];
  const { port } = await listening(t, (socket) => accepted.push([socket, heard(socket)]), { keepAlive });
  const client = await frameClient(t, port);
  const received = all(client);
  const [ping] = frames(await received);
  assert.equal(ping.first, 0x89);
  const [[socket, { closed }]] = accepted;
  assert.deepEqual(await closed, FAILED);
  assert.deepEqual(errors.get(socket), ['transport', 'ETIMEDOUT']);
});

test('a peer that answers stays, and the script does not hear of it', async (t) => {
  const pongs = [];
  const accepted = [];
  const { url } = await listening(
    t,
    (socket) => {
      socket.addEventListener('pong', ({ data }) => pongs.push(String(Buffer.from(data))));
      accepted.push(socket);
      echo(socket);
    },
    { keepAlive: patient },
  );
  const client = new Ws(url);
  for (let count = 0; count < 5; count += 1) await once(client, 'ping');
  client.send('still there');
  assert.equal(String((await once(client, 'message'))[0]), 'still there');
  const pong = next(accepted[0], 'pong');
  accepted[0].ping('mine');
  await pong;
  assert.deepEqual(pongs, ['mine']);
  client.close();
  await once(client, 'close');
});

test('whatever a peer sends is a sign of life', async (t) => {
  const texts = [];
  const { port } = await listening(t, (socket) => socket.addEventListener('message', () => texts.push(1)), {
    keepAlive: patient,
  });
  const client = await frameClient(t, port);
  let signs = 0;
  await new Promise((resolve) => {
    client.on('data', (bytes) => {
      if (frames(bytes)[0].first !== 0x89) return;
      signs += 1;
      client.write(
        signs % 2 === 0 ? frame(1, 'alive', { mask: [1, 2, 3, 4] }) : frame(PONG, '', { mask: [1, 2, 3, 4] }),
      );
      if (signs === 4) resolve();
    });
  });
  while (texts.length === 0) await new Promise(setImmediate);
});

test('a peer that takes too little is given up, others go on', async (t) => {
  const errors = failures(t);
  const { server, url, port } = await listening(t, (socket) => echo(socket), { maxQueuedBytes: 1_000_000 });
  await frameClient(t, port);
  while (server.clients.size < 1) await new Promise(setImmediate);
  const [slow] = server.clients;
  const { closed } = heard(slow);
  const data = Buffer.alloc(500_000);
  while (slow.readyState === slow.OPEN) {
    slow.send(data);
    await new Promise(setImmediate);
  }
  assert.deepEqual(await closed, FAILED);
  assert.ok(slow.bufferedAmount > 0);
  assert.deepEqual(errors.get(slow), ['transport', 'ENOBUFS']);
  // As much in all, and more at once than the limit: the limit is for what waits when more is added.
  const client = new Ws(url);
  await once(client, 'open');
  for (const length of [3_000_000, 10]) {
    client.send(Buffer.alloc(length));
    assert.equal((await once(client, 'message'))[0].length, length);
  }
  client.terminate();
});

test('a script that sends on and on in one turn does not fill the memory', async (t) => {
  const { server, port } = await listening(t, () => {}, { maxQueuedBytes: 1_000_000 });
  await frameClient(t, port);
  while (server.clients.size < 1) await new Promise(setImmediate);
  const [slow] = server.clients;
  const { closed } = heard(slow);
  const data = Buffer.alloc(1_000_000);
  const before = process.memoryUsage.rss();
  for (let count = 0; count < 400; count += 1) slow.send(data);
  assert.ok(process.memoryUsage.rss() - before < 100_000_000);
  assert.deepEqual(await closed, FAILED);
});
