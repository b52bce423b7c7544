// socket.io, unmodified, over WebTransport: its client takes our class, its server our sessions.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Server } from 'socket.io';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';

const program = fileURLToPath(new URL('socket-io-client.mjs', import.meta.url));

/**
 * A server of socket.io that echoes, at one port for HTTPS and for WebTransport. It speaks to all when `clients` are ready;
 * `allHeard` is a promise of their sockets.
 */
async function serve(context, clients) {
  const { cert, key, hash } = createCertificate();
  const http = createServer({ cert, key }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address();
  const sockets = new Server(http, { transports: ['polling', 'webtransport'] });
  const ready = [];
  const heard = [];
  const allHeard = new Promise((resolve) => {
    sockets.on('connection', (socket) => {
      socket.on('echo', (...values) => values.pop()(...values));
      socket.on('say', (...values) => socket.emit('said', ...values));
      socket.on('ready', () => {
        ready.push(socket);
        if (ready.length === clients) sockets.emit('all', 'to all', Buffer.from([9]));
      });
      socket.on('heard', (acknowledge) => {
        heard.push(socket);
        if (heard.length === clients) resolve(heard);
        acknowledge?.();
      });
    });
  });
  const webtransports = new webwire.WebTransportServer({ host: '127.0.0.1', port, cert, key });
  await webtransports.ready;
  const accept = async () => {
    for await (const request of webtransports.incomingRequests) {
      sockets.engine.onWebTransportSession(await request.accept());
    }
  };
  const ended = accept();
  context.after(async () => {
    await webtransports.close({ timeoutMs: 0 });
    await ended;
    await new Promise((resolve) => sockets.close(resolve));
  });
  return { sockets, webtransports, allHeard, at: { url: `https://127.0.0.1:${port}`, cert, hash: [...hash] } };
}

/** Runs a client in a process of its own; resolves to what it saw. */
async function run({ signal }, at, { transports = ['webtransport'], leaves = false } = {}) {
  const args = [program, JSON.stringify({ ...at, transports, leaves })];
  return JSON.parse((await promisify(execFile)(process.execPath, args, { signal })).stdout);
}

/** Whether an end hears why the other one closes is a matter of luck: the end of a session overtakes what was written last. */
const SEEN = { name: 'webtransport', ours: true, closeCode: 0, unhandled: ['WebTransportError of the session'] };

for (const transports of [['webtransport'], ['polling', 'webtransport']]) {
  test(`text and binary by ${transports.join(', then ')}; the client leaves`, async (context) => {
    const { allHeard, at } = await serve(context, 1);
    const gone = allHeard.then(([socket]) => {
      assert.equal(socket.conn.transport.name, 'webtransport');
      return once(socket, 'disconnect');
    });
    assert.deepEqual(await run(context, at, { transports, leaves: true }), { ...SEEN, reason: 'io client disconnect' });
    assert.match((await gone)[0], /^(client namespace disconnect|transport close)$/);
  });
}

test('the server disconnects all of its sockets', async (context) => {
  const { sockets, allHeard, at } = await serve(context, 3);
  const clients = [run(context, at), run(context, at), run(context, at)];
  await allHeard;
  sockets.disconnectSockets(true);
  for (const { reason, ...seen } of await Promise.all(clients)) {
    assert.deepEqual(seen, SEEN);
    assert.match(reason, /^(io server disconnect|transport close)$/);
  }
});

test('a WebTransportServer that closes takes its sockets with it', async (context) => {
  const { webtransports, allHeard, at } = await serve(context, 1);
  const client = run(context, at);
  await allHeard;
  await webtransports.close({ timeoutMs: 0 });
  assert.deepEqual(await client, { ...SEEN, reason: 'transport close' });
});
