// Our WebTransportServer under a client that floods it: memory stays bounded, and others are served.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import webwire from '../../index.js';
import { certificateFiles } from './certificate-files.mjs';
import { startPeer } from './counterpart.mjs';
import { TIMEOUT_MS } from './timeout.mjs';

const { WebTransport, WebTransportServer } = webwire;

const MIB = 1024 * 1024;
/** What a peer may send unread on one connection, and room for what Node does meanwhile. */
const MAX_RISE = 32 * MIB;

/** Without JavaScript's heap: its size is the choice of V8, which collects what is left of a thousand sessions when it likes. */
function heldBytes() {
  const { rss, heapTotal } = process.memoryUsage();
  return rss - heapTotal;
}

/** Echoes every stream, but not those of sessions with the path `/unread`. */
async function serve(context, options) {
  const files = certificateFiles(context);
  const [cert, key] = [readFileSync(files.cert), readFileSync(files.key)];
  const server = new WebTransportServer({ host: '127.0.0.1', cert, key, ...options });
  context.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const unread = [];
  server.onconnection = async ({ socket, request }) => {
    socket.closed.catch(() => {});
    if (request.url.endsWith('/unread')) {
      unread.push(socket);
      return;
    }
    const streams = socket.incomingBidirectionalStreams.getReader();
    for (;;) {
      const { done, value } = await streams.read().catch(() => ({ done: true }));
      if (done) return;
      value.readable.pipeTo(value.writable).catch(() => {});
    }
  };
  return { ...files, server, port: server.address().port };
}

async function isServed({ port, hash }) {
  const client = new WebTransport(`https://127.0.0.1:${port}/`, {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
  });
  const { readable, writable } = await client.createBidirectionalStream();
  const writer = writable.getWriter();
  await writer.write(Uint8Array.of(1, 2, 3));
  await writer.close();
  const { value } = await readable.getReader().read();
  assert.deepEqual([...value], [1, 2, 3]);
  client.close();
}

for (const [fault, expected, path = '/'] of [
  // INTERNAL_ERROR, which is what quinn says of a stream with too many gaps.
  ['gaps', { code: 0x1 }],
  ['pings', { echoed: true }],
  ['path-challenges', { echoed: true }],
  ['stopped-streams', { echoed: true }],
  ['retire-unknown', { code: 0xa }],
  ['unlimited-connection-ids', { code: 0x9 }],
  ['requests', { code: 0x107 }],
  ['malformed-requests', { answers: [...new Array(12).fill(0x10e), 400, 501], echoed: true }],
  ['bad-index', { code: 0x200 }],
  ['dynamic-table', { code: 0x200 }],
  // Nothing is put into the table, and who refers to it is closed.
  ['table-bomb', { echoed: true }],
  ['large-headers', { answers: [431], echoed: true }],
  ['many-fields', { answers: [431], echoed: true }],
  ['early-streams', { stops: [0x3994bd84], count: 24, echoed: true }],
  ['slow-preamble', { echoed: true }],
  ['full-windows', { taken: 16 * MIB }, '/unread'],
]) {
  test(`${fault}: memory is bounded, others are served`, { timeout: TIMEOUT_MS }, async (context) => {
    const served = await serve(context);
    await isServed(served);
    const before = heldBytes();
    const peer = startPeer(context, 'web_transport_hostile.py', `${served.port}`, served.cert, fault, path);
    const { event, ...outcome } = await peer.event('ended');
    const rise = heldBytes() - before;
    assert.deepEqual(outcome, expected);
    assert.ok(rise < MAX_RISE, `${rise} bytes more`);
    await isServed(served);
  });
}

for (const [fault, options, code] of [
  // H3_REQUEST_INCOMPLETE
  ['half-headers', { handshakeTimeoutMs: 500 }, 0x10d],
  // H3_REQUEST_REJECTED
  ['two-sessions', { maxSessionsPerConnection: 1 }, 0x10b],
]) {
  test(`${fault}: the request is refused, the session goes on`, { timeout: TIMEOUT_MS }, async (context) => {
    const served = await serve(context, options);
    const peer = startPeer(context, 'web_transport_hostile.py', `${served.port}`, served.cert, fault);
    assert.deepEqual(await peer.event('refused'), { event: 'refused', code });
    assert.deepEqual(await peer.event('ended'), { event: 'ended', echoed: true });
  });
}
