// Processes that are forked beside open sockets, one that is stopped and goes on, and ends in the midst of sending.

import assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import cluster from 'node:cluster';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Ws from 'ws';
import { descriptors } from '../helpers/descriptors.mjs';
import { all, echo, frameServer, listening, next, WebSocket } from '../helpers/websocket-ends.mjs';

const FORKED = fileURLToPath(new URL('../helpers/forked.mjs', import.meta.url));

async function backAndForth(socket) {
  socket.send('there and back');
  assert.equal((await next(socket, 'message')).data, 'there and back');
}

for (const [name, start] of [
  ['child_process.fork', () => fork(FORKED)],
  [
    'cluster',
    () => {
      cluster.setupPrimary({ exec: FORKED });
      return cluster.fork();
    },
  ],
]) {
  test(`${name}: the child has none of our sockets, and both ends serve`, {
    skip: process.platform !== 'linux' && 'reads /proc',
  }, async (t) => {
    const { url } = await listening(t, echo);
    const near = Array.from({ length: 5 }, () => new WebSocket(url));
    await Promise.all(near.map((socket) => next(socket, 'open')));
    const ours = descriptors().filter((one) => /socket|eventpoll|eventfd/.test(one));
    assert.ok(ours.length > 10);
    const child = start();
    t.after(() => child.kill('SIGKILL'));
    assert.deepEqual((await once(child, 'message'))[0], 'ready');
    // All anonymous files of a kind look alike.
    child.send(ours.filter((one) => one.startsWith('socket:')));
    const [{ shared, port }] = await once(child, 'message');
    assert.deepEqual(shared, []);
    const far = new WebSocket(`ws://127.0.0.1:${port}/`);
    await next(far, 'open');
    await backAndForth(far);
    const closed = next(far, 'close');
    child.kill('SIGKILL');
    await closed;
    for (const socket of near) await backAndForth(socket);
    const last = new WebSocket(url);
    await next(last, 'open');
    for (const socket of [...near, last]) socket.close();
  });
}

/** A server that looks every 50 ms whether its clients are there. */
const SERVER = `
  const { WebSocketServer } = require('./index.js');
  const server = new WebSocketServer({ host: '127.0.0.1', keepAlive: { intervalMs: 50, timeoutMs: 60_000 } });
  server.addEventListener('connection', ({ socket }) => { socket.onmessage = ({ data }) => socket.send(data); });
  server.ready.then(() => console.log(server.address().port));
`;

/** How many pings it has no time for. */
const MISSED = 40;

test('a process that is stopped for a while: its timers fire once, and its connections live', {
  skip: process.platform === 'win32' && 'no such signals',
}, async (t) => {
  const start = async () => {
    const child = spawn(process.execPath, ['-e', SERVER], {
      cwd: new URL('../..', import.meta.url),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    const [port] = await once(createInterface({ input: child.stdout }), 'line');
    const socket = new Ws(`ws://127.0.0.1:${port}/`);
    await once(socket, 'open');
    return { child, socket };
  };
  const [stopped, running] = await Promise.all([start(), start()]);
  await once(stopped.socket, 'ping');
  stopped.child.kill('SIGSTOP');
  // Of the other process meanwhile.
  for (let pings = 0; pings < MISSED; pings += 1) await once(running.socket, 'ping');
  // All that come before the answer, less those that come from the other process as well while that is on its way.
  let pings = 0;
  stopped.socket.on('ping', () => {
    pings += 1;
  });
  running.socket.on('ping', () => {
    pings -= 1;
  });
  stopped.socket.send('still there?');
  stopped.child.kill('SIGCONT');
  const [answer] = await once(stopped.socket, 'message');
  assert.equal(String(answer), 'still there?');
  assert.ok(pings < MISSED / 2, `${pings} pings at once`);
  await once(stopped.socket, 'ping');
  for (const { socket } of [stopped, running]) socket.terminate();
});

/** Sends more than any socket holds, says so, and ends in this way. */
const SENDER = `
  const { WebSocket } = require('./index.js');
  const [, url, end] = process.argv;
  const socket = new WebSocket(url);
  socket.onopen = () => {
    for (let count = 0; count < 1024; count += 1) socket.send(new Uint8Array(65_536));
    process.stdout.write('sent\\n', () => setImmediate(() => {
      if (end === 'exit') process.exit(7);
      if (end === 'throw') throw new Error('uncaught');
    }));
  };
`;
const SENT = 1024 * 65_536;

for (const [end, code, signal] of [
  ['exit', 7, null],
  ['throw', 1, null],
  ['SIGTERM', null, 'SIGTERM'],
]) {
  test(`a process that ends in the midst of sending waits for nobody: ${end}`, {
    skip: process.platform === 'win32' && 'no such signals',
  }, async (t) => {
    const peers = [];
    const { url } = await frameServer(t, (peer) => peers.push(peer.pause()));
    const child = spawn(process.execPath, ['-e', SENDER, url, end], { cwd: new URL('../..', import.meta.url) });
    t.after(() => child.kill('SIGKILL'));
    let errors = '';
    child.stderr.on('data', (data) => {
      errors += data;
    });
    await once(createInterface({ input: child.stdout }), 'line');
    if (signal !== null) child.kill(signal);
    // Nothing of what it sent is read before.
    assert.deepEqual(await once(child, 'close'), [code, signal]);
    assert.doesNotMatch(errors, /check failed|fatal|panick/i);
    assert.equal(errors.includes('Error: uncaught'), end === 'throw');
    const sent = all(peers[0]);
    peers[0].resume();
    assert.ok((await sent).length < SENT);
  });
}
