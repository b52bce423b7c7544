// Both ends of a session in this process: what the tests of this folder begin with.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';

const { WebTransport, WebTransportServer } = webwire;

/** A listening server that ends with the test `context`. */
export async function startServer(context, options = {}) {
  const { cert, key, hash } = createCertificate();
  const server = new WebTransportServer({ host: '127.0.0.1', port: 0, cert, key, ...options });
  context.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const requests = server.incomingRequests.getReader();
  return {
    server,
    cert,
    hash,
    url: `https://127.0.0.1:${server.address().port}/`,
    /** The next request. */
    request: async () => (await requests.read()).value,
  };
}

/** A client that trusts the server's certificate by its hash. Its end is nobody's concern unless a test looks. */
export function connect({ url, hash }, { path = '', ...options } = {}) {
  return new WebTransport(`${url}${path}`, {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
    ...options,
  });
}

/** An established session: `{ client, server, listener }`. */
export async function openSession(context, { accept, ...options } = {}) {
  const listener = await startServer(context);
  const client = connect(listener, options);
  // Before the request it can only fail, and then none comes.
  const request = await Promise.race([listener.request(), client.ready]);
  const server = await request.accept(accept);
  await client.ready;
  context.after(() => client.close());
  return { client, server, listener };
}

/** What scripts hear when a session can't be established, whatever the cause. */
export const NOT_ESTABLISHED = { name: 'WebTransportError', message: 'Opening handshake failed.', source: 'session' };

/** What the operator hears: from now on, the cause of each session's failure. */
export function hearCauses(context) {
  const causes = new Map();
  const hear = ({ webtransport, error }) => causes.set(webtransport, error);
  subscribe('webwire:webtransport:error', hear);
  context.after(() => unsubscribe('webwire:webtransport:error', hear));
  return causes;
}

/** The next value of a readable stream, whose lock is given back. */
export async function next(readable) {
  const reader = readable.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return value;
}

/** All bytes until the stream ends. */
export async function readAll(readable) {
  const chunks = [];
  for await (const chunk of readable) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Writes bytes and ends the stream. */
export async function writeAll(writable, bytes) {
  const writer = writable.getWriter();
  await writer.write(bytes);
  await writer.close();
}

/** A stream of each end: the client's new one, and the same as the server sees it. */
export async function openStreams({ client, server }, first = Uint8Array.of(1)) {
  const near = await client.createBidirectionalStream();
  const writer = near.writable.getWriter();
  await writer.write(first);
  writer.releaseLock();
  const far = await next(server.incomingBidirectionalStreams);
  return { near, far };
}

/** How many streams of a kind an end can open at once. */
export async function openable(end, create) {
  const streams = [];
  for (;;) {
    try {
      streams.push(await end[create]());
    } catch (error) {
      assert.equal(error.name, 'QuotaExceededError');
      return streams.length;
    }
  }
}

/** Ways to open a stream only to give it up. */
export const givingUp = {
  async unidirectional(session) {
    const stream = await session.createUnidirectionalStream({ waitUntilAvailable: true });
    await stream.abort();
  },
  async bidirectional(session) {
    const { readable, writable } = await session.createBidirectionalStream({ waitUntilAvailable: true });
    await Promise.all([writable.abort(), readable.cancel()]);
  },
};
