// A WebTransportServer and its requests: the hook, the limits, the end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { inspect } from 'node:util';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import { connect, hearCauses, NOT_ESTABLISHED, next, readAll, startServer, writeAll } from './pair.mjs';

const { WebTransportServer } = webwire;

const refused = { name: 'WebTransportError', source: 'session' };

/** Rejects as a session that was refused. */
const isRefused = (session) => assert.rejects(session.ready, NOT_ESTABLISHED);

/** The status with which a session is refused: the operator's business. */
async function statusOf(context, session) {
  const causes = hearCauses(context);
  await isRefused(session);
  return causes.get(session)?.status;
}

test('onRequest hears each request first, and answers it or leaves it', async (context) => {
  const heard = [];
  const onRequest = async (request) => {
    heard.push(new URL(request.url).pathname);
    await null;
    if (request.url.endsWith('/no')) request.reject(403);
    if (request.url.endsWith('/yes')) await request.accept();
  };
  const listener = await startServer(context, { onRequest });
  await isRefused(connect(listener, { path: 'no' }));
  await connect(listener, { path: 'yes' }).ready;
  const left = connect(listener, { path: 'left' });
  const request = await listener.request();
  assert.equal(new URL(request.url).pathname, '/left');
  await request.accept();
  await left.ready;
  assert.deepEqual(heard, ['/no', '/yes', '/left']);
});

test('a hook that returns a Response refuses with it; one that allows nothing decides nothing', async (context) => {
  const onRequest = ({ url }) =>
    url.endsWith('/no') ? new Response('not here', { status: 404, headers: { 'x-why': 'path' } }) : new Response('yes');
  const listener = await startServer(context, { onRequest });
  assert.equal(await statusOf(context, connect(listener, { path: 'no' })), 404);
  const left = connect(listener);
  await (await listener.request()).accept();
  await left.ready;
});

test('a hook that throws costs its request a 500, and warns', async (context) => {
  const fault = new Error('a fault of the hook');
  const listener = await startServer(context, {
    onRequest: () => {
      throw fault;
    },
  });
  const warned = once(process, 'warning');
  assert.equal(await statusOf(context, connect(listener)), 500);
  assert.equal((await warned)[0], fault);
});

test('a request that nobody answers is answered 503 when its time is up', async (context) => {
  const listener = await startServer(context, { requestTimeoutMs: 50, onRequest: () => new Promise(() => {}) });
  assert.equal(await statusOf(context, connect(listener)), 503);
  const late = await startServer(context, { requestTimeoutMs: 50 });
  const client = connect(late);
  const request = await late.request();
  assert.equal(request.signal.aborted || (await once(request.signal, 'abort')).length > 0, true);
  await isRefused(client);
  const socket = await request.accept();
  await assert.rejects(socket.closed, refused);
});

test('maxConnections refuses further ones, and lets others in when there is room', async (context) => {
  const listener = await startServer(context, { maxConnections: 1, onRequest: (request) => request.accept() });
  const first = connect(listener);
  await first.ready;
  await isRefused(connect(listener));
  first.close();
  // Its connection ends a little later than the session.
  for (;;) {
    const again = connect(listener);
    if (
      await again.ready.then(
        () => true,
        () => false,
      )
    )
      break;
  }
});

test('maxPendingRequests is a limit of requests without an answer', async (context) => {
  const listener = await startServer(context, { maxPendingRequests: 1 });
  const first = connect(listener);
  const waiting = await listener.request();
  assert.equal(await statusOf(context, connect(listener)), 503);
  await waiting.accept();
  await first.ready;
  const third = connect(listener);
  await (await listener.request()).accept();
  await third.ready;
});

test('with maxUnprovenHandshakes 0 each client is sent back first (Retry), and gets in', async (context) => {
  const listener = await startServer(context, {
    maxUnprovenHandshakes: 0,
    maxPendingHandshakes: 1,
    onRequest: (request) => request.accept(),
  });
  await connect(listener).ready;
});

test('small limits of bytes hold a writer, and lose nothing', async (context) => {
  const bytes = new Uint8Array(1_000_000).map((_, index) => index);
  const limits = { maxUnreadBytesPerStream: 16_384, maxUnreadBytesPerConnection: 32_768 };
  const listener = await startServer(context, {
    ...limits,
    maxQueuedBytesPerConnection: 16_384,
    maxStreamsPerConnection: 16,
  });
  const client = connect(listener);
  const server = await (await listener.request()).accept();
  const [echoed] = await Promise.all([
    client.createBidirectionalStream().then(async ({ readable, writable }) => {
      const [back] = await Promise.all([readAll(readable), writeAll(writable, bytes)]);
      return back;
    }),
    next(server.incomingBidirectionalStreams).then(({ readable, writable }) => readable.pipeTo(writable)),
  ]);
  assert.equal(Buffer.compare(echoed, bytes), 0);
});

test('options that are wrong throw before anything listens', () => {
  const { cert, key } = createCertificate();
  for (const [options, error] of [
    [{}, TypeError],
    [undefined, TypeError],
    [{ cert }, TypeError],
    [{ cert, key: 'x' }, TypeError],
    [{ cert, key, certificates: 1 }, TypeError],
    [{ cert, key, requestCert: true, ca: 'x' }, TypeError],
    [{ cert, key, onRequest: 1 }, TypeError],
    [{ cert, key, signal: 1 }, TypeError],
    [{ cert, key, maxConnections: -1 }, TypeError],
    [{ cert, key, maxPendingHandshakes: 0 }, RangeError],
    [{ cert, key, maxSessionsPerConnection: 0 }, RangeError],
    [{ cert, key, maxStreamsPerConnection: 1 }, RangeError],
    [{ cert, key, maxStreamsPerConnection: 2 ** 32 - 1 }, RangeError],
    [{ cert, key, maxUnreadBytesPerStream: 1 }, RangeError],
    [{ cert, key, requestTimeoutMs: 0 }, RangeError],
    [{ cert, key, handshakeTimeoutMs: 0 }, RangeError],
    [{ cert, key, keepAlive: { intervalMs: 0 } }, RangeError],
  ]) {
    assert.throws(() => new WebTransportServer(options), error, JSON.stringify(options));
  }
  for (const keepAlive of [true, false, { intervalMs: 100 }]) {
    const server = new WebTransportServer({ host: '127.0.0.1', cert, key, keepAlive });
    server.close();
  }
});

test('close() twice is one end; so is the signal, and the end of a block', async () => {
  const { cert, key } = createCertificate();
  const controller = new AbortController();
  const server = new WebTransportServer({ host: '127.0.0.1', cert, key, signal: controller.signal });
  await server.ready;
  controller.abort();
  await Promise.all([server.close(), server.close({ timeoutMs: 0 }), server[Symbol.asyncDispose]()]);
  assert.throws(() => server.address(), { name: 'InvalidStateError' });
  await server.close();
  const early = new WebTransportServer({ host: '127.0.0.1', cert, key, signal: AbortSignal.abort() });
  await assert.rejects(early.ready, { name: 'AbortError' });
});

test('util.inspect shows the state', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const request = await listener.request();
  assert.match(
    inspect(listener.server),
    /^WebTransportServer \{\s+state: 'listening',[\s\S]+sessions: 0,\s+unanswered: 1/,
  );
  await request.accept();
  await client.ready;
  assert.match(inspect(listener.server), /sessions: 1,\s+unanswered: 0/);
  await listener.server.close({ timeoutMs: 0 });
  assert.equal(inspect(listener.server), "WebTransportServer { state: 'closed', sessions: 0, unanswered: 0 }");
});

test('clients of a process share a socket, also one that comes when the others have their sessions', async (context) => {
  const listener = await startServer(context);
  const ports = [];
  for (let index = 0; index < 2; index += 1) {
    const client = connect(listener);
    context.after(() => client.close());
    const request = await listener.request();
    ports.push(request.remoteAddress.port);
    await request.accept();
    await client.ready;
    // The session lives on while the next one is made.
    await (await client.createUnidirectionalStream()).getWriter().write(Uint8Array.of(1));
  }
  assert.equal(ports[0], ports[1]);
});
