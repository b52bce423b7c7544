// A WebSocketServer whose script is slow, whose clients are slow, and whose process has children.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import Ws from 'ws';
import { echo, FAILED, heard, listening, next, request as rawRequest, WebSocket } from '../helpers/websocket-ends.mjs';

const MESSAGE = 65_536;
const COUNT = 4096;

/** Another process that sends 256 MiB as fast as it may, each message with its number, then waits for the end. */
const SENDER = `
const [port, count, length] = process.argv.slice(1).map(Number);
const socket = require('node:net').connect(port, '127.0.0.1');
socket.write(['GET / HTTP/1.1', 'Host: a', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', ''].join('\\r\\n'));
socket.once('data', async () => {
  const frame = Buffer.alloc(14 + length);
  frame.set([0x82, 0xff]);
  frame.writeBigUInt64BE(BigInt(length), 2);
  for (let number = 0; number < count; number += 1) {
    frame.writeUInt32BE(number, 14);
    if (!socket.write(Buffer.from(frame))) await new Promise((resolve) => socket.once('drain', resolve));
  }
});
socket.resume();
`;

test('a script that blocks: what the peer sends waits at the peer, and nothing is lost', async (t) => {
  let received = 0;
  let blocked = false;
  let before = 0;
  let rise = 0;
  let done;
  const all = new Promise((resolve) => {
    done = resolve;
  });
  const { port } = await listening(t, (socket) => {
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', ({ data }) => {
      assert.equal(new DataView(data).getUint32(0), received);
      assert.equal(data.byteLength, MESSAGE);
      received += 1;
      if (!blocked) {
        blocked = true;
        before = process.memoryUsage.rss();
        // The script does something long; the peer could have sent everything meanwhile.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
        rise = process.memoryUsage.rss() - before;
      }
      if (received === COUNT) done();
    });
  });
  const sender = spawn(process.execPath, ['-e', SENDER, String(port), String(COUNT), String(MESSAGE)]);
  t.after(() => sender.kill());
  await all;
  assert.ok(rise < 32 * 1024 * 1024, `${rise} bytes more while the script was blocked`);
});

test('close() behind 100 MiB that wait: all of it is sent before', async (t) => {
  const part = Buffer.alloc(1024 * 1024, 5);
  const { url } = await listening(t, (socket) => {
    for (let count = 0; count < 100; count += 1) socket.send(part);
    socket.close(3000, 'that was all');
  });
  const client = new Ws(url);
  let received = 0;
  client.on('message', (data) => {
    received += data.length;
  });
  const [code, reason] = await once(client, 'close');
  assert.deepEqual([received, code, String(reason)], [100 * part.length, 3000, 'that was all']);
});

test('child processes have none of our sockets', { skip: process.platform !== 'linux' && 'reads /proc' }, async (t) => {
  const { url } = await listening(t, (socket) => echo(socket));
  const folder = mkdtempSync(join(tmpdir(), 'webwire-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const near = Array.from({ length: 5 }, () => new WebSocket(url));
  await Promise.all(near.map((socket) => next(socket, 'open')));
  const file = join(folder, 'descriptors');
  spawnSync('ls', ['-l', '/proc/self/fd'], { stdio: ['ignore', openSync(file, 'w'), 'ignore'] });
  const descriptors = readFileSync(file, 'utf8');
  assert.match(descriptors, / 1 -> .*descriptors/);
  assert.doesNotMatch(descriptors, /socket:|eventpoll|eventfd/);
  near[0].send('unharmed');
  assert.equal((await next(near[0], 'message')).data, 'unharmed');
});

test('connections that come and go leave no descriptor behind', {
  skip: process.platform !== 'linux' && 'reads /proc',
}, async (t) => {
  const { server, url } = await listening(t, (socket) => echo(socket));
  const count = () => readdirSync('/proc/self/fd').length;
  const round = async () => {
    const sockets = Array.from({ length: 50 }, () => new WebSocket(url));
    await Promise.all(sockets.map((socket) => next(socket, 'open')));
    await Promise.all(
      sockets.map((socket) => {
        socket.close();
        return next(socket, 'close');
      }),
    );
    while (server.clients.size > 0) await new Promise(setImmediate);
  };
  await round();
  const before = count();
  for (let rounds = 0; rounds < 4; rounds += 1) await round();
  // A few may still be on their way to be closed.
  while (count() > before + 5) await new Promise(setImmediate);
});

test('a peer that is killed is noticed at once, without a ping', async (t) => {
  const { server, port } = await listening(t, () => {}, { keepAlive: false });
  const client = `const s = require('node:net').connect(${port}, '127.0.0.1'); s.write(${JSON.stringify(rawRequest(port))}); s.resume();`;
  const peer = spawn(process.execPath, ['-e', client]);
  t.after(() => peer.kill());
  while (server.clients.size < 1) await new Promise(setImmediate);
  const [socket] = server.clients;
  const { closed } = heard(socket);
  peer.kill('SIGKILL');
  assert.deepEqual(await closed, FAILED);
});
