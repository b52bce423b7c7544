// Run by socket-io.test.mjs: socket.io's client, unmodified, finds our WebTransport among the globals. Says what it saw, as JSON.
// node socket-io-client.mjs '{ "url", "hash": [...], "cert", "transports": [...], "leaves" }'

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { io } from 'socket.io-client';
import webwire from '../../index.js';

globalThis.WebTransport = webwire.WebTransport;
const { url, hash, cert, transports, leaves } = JSON.parse(process.argv[2]);

// The client pipes into its stream and does not look at what becomes of that: the end of the session, as in a browser,
// rejects a promise of its own. Node ends a process for this that has no such handler.
const unhandled = [];
process.on('unhandledRejection', ({ name, source }) => unhandled.push(`${name} of the ${source}`));

const socket = io(url, {
  ca: cert,
  reconnection: false,
  transports,
  transportOptions: {
    webtransport: { serverCertificateHashes: [{ algorithm: 'sha-256', value: Uint8Array.from(hash) }] },
  },
});
await new Promise((resolve, reject) => socket.on('connect', resolve).on('connect_error', reject));
const { engine } = socket.io;
if (engine.transport.name === 'polling') await once(engine, 'upgrade');
const { name, _transport: transport } = engine.transport;

const spoken = new Promise((resolve) => socket.on('all', (...values) => resolve(values)));
const disconnected = new Promise((resolve) => socket.on('disconnect', resolve));

// Text, JSON, and binary both ways, small and large.
const large = Buffer.alloc(300_000, 7);
const values = ['text', { deep: [1, null, 'ä'] }, Buffer.from([1, 2, 3]), { in: large }];
assert.deepEqual(await new Promise((resolve) => socket.emit('echo', ...values, (...back) => resolve(back))), values);
const said = new Promise((resolve) => socket.on('said', (...back) => resolve(back)));
socket.emit('say', ...values);
assert.deepEqual(await said, values);

socket.emit('ready');
assert.deepEqual(await spoken, ['to all', Buffer.from([9])]);
if (leaves) {
  // socket.io forgets what it has not dispatched when the client leaves.
  await new Promise((resolve) => socket.emit('heard', resolve));
  socket.disconnect();
} else socket.emit('heard');
const reason = await disconnected;
const { closeCode } = await transport.closed;
const ours = transport instanceof webwire.WebTransport;
process.on('exit', () =>
  console.log(JSON.stringify({ name, ours, reason, closeCode, unhandled: [...new Set(unhandled)] })),
);
