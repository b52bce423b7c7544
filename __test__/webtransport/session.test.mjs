// How a session is asked for, granted or refused, and how it ends.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import { connect, NOT_ESTABLISHED, next, openSession, openStreams, startServer } from './pair.mjs';

const { WebTransport, WebTransportError, WebTransportServer } = webwire;

const isSessionError = (error) => {
  assert.ok(error instanceof WebTransportError);
  assert.equal(error.source, 'session');
  assert.equal(error.streamErrorCode, null);
  return true;
};

test('the request and the answer reach the other end', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener, { path: 'chat?x=1', protocols: ['a', 'b'], headers: { 'X-Token': 'ü' } });
  assert.equal(client.reliability, 'pending');
  assert.equal(client.responseHeaders, null);
  assert.equal(client.protocol, '');
  const request = await listener.request();
  assert.equal(request.url, `${listener.url}chat?x=1`);
  assert.equal(request.origin, new URL(listener.url).origin);
  assert.deepEqual(request.protocols, ['a', 'b']);
  assert.equal(request.headers.get('x-token'), 'ü');
  assert.equal(request.remoteAddress.address, '127.0.0.1');
  const server = await request.accept({ protocol: 'b', headers: { 'x-answer': 'yes' } });
  await client.ready;
  assert.ok(server instanceof WebTransport);
  assert.deepEqual([client.protocol, server.protocol], ['b', 'b']);
  assert.equal(client.responseHeaders.get('x-answer'), 'yes');
  assert.equal(client.responseHeaders, client.responseHeaders);
  assert.equal(client.reliability, 'supports-unreliable');
  assert.equal(client.congestionControl, 'default');
  assert.equal(await server.ready, undefined);
  client.close();
});

test('an answer has no headers of the connection, and no length or protocol but its own', async (context) => {
  const listener = await startServer(context);
  const given = { connection: 'close', 'Transfer-Encoding': 'chunked', 'content-length': '7', 'x-a': 'b' };
  const client = connect(listener, { protocols: ['a'] });
  const request = await listener.request();
  await assert.rejects(request.accept({ headers: { 'WT-Protocol': '"b"' } }), TypeError);
  await request.accept({ headers: given, protocol: 'a' });
  await client.ready;
  const own = ['sec-webtransport-http3-draft', 'x-a'];
  assert.deepEqual([[...client.responseHeaders.keys()], client.protocol], [own, 'a']);
  client.close();
});

test('headers of the connection itself are not sent, others are', async (context) => {
  const listener = await startServer(context);
  const headers = {
    host: 'a',
    'Transfer-Encoding': 'chunked',
    'sec-a': 'b',
    'proxy-a': 'b',
    te: 'gzip',
    Cookie: 'a=b',
  };
  const client = connect(listener, { headers });
  const request = await listener.request();
  const sent = [...request.headers].filter(([name]) => name !== 'sec-webtransport-http3-draft02' && name !== 'origin');
  assert.deepEqual(sent, [['cookie', 'a=b']]);
  await request.accept({ headers: { 'x-a': 'b' } });
  await client.ready;
  for (const change of ['append', 'set', 'delete']) {
    assert.throws(() => client.responseHeaders[change]('x-a', 'c'), TypeError);
  }
  assert.equal(client.responseHeaders.get('x-a'), 'b');
  client.close();
});

test('of a host that has a location the origin is used', async (context) => {
  const listener = await startServer(context);
  globalThis.location = { href: `${listener.url}page/`, origin: 'https://page.example' };
  context.after(() => {
    delete globalThis.location;
  });
  const client = connect(listener);
  assert.throws(() => new WebTransport('relative'), { name: 'SyntaxError' });
  const request = await listener.request();
  assert.equal(request.origin, 'https://page.example');
  request.reject(404);
  await assert.rejects(client.ready, isSessionError);
  assert.equal(client.reliability, 'pending');
});

for (const [asked, met] of [
  ['default', 'default'],
  ['throughput', 'throughput'],
  ['low-latency', 'default'],
]) {
  test(`congestion control for ${asked} is ${met}`, async (context) => {
    const { client, server } = await openSession(context, { congestionControl: asked });
    assert.deepEqual([client.congestionControl, server.congestionControl], [met, 'default']);
  });
}

test('a session that requires unreliable transport gets it', async (context) => {
  const { client } = await openSession(context, { requireUnreliable: true });
  assert.equal(client.reliability, 'supports-unreliable');
  client.close();
  await client.closed;
  assert.equal(client.reliability, 'supports-unreliable');
});

test('an origin of the application is sent as it is', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener, { headers: { origin: 'https://example.com' } });
  const request = await listener.request();
  assert.equal(request.origin, 'https://example.com');
  request.reject(403);
  await assert.rejects(client.ready, isSessionError);
});

for (const status of [302, 404, 429, 500]) {
  test(`status ${status} rejects ready and closed`, async (context) => {
    const listener = await startServer(context);
    const client = connect(listener);
    (await listener.request()).reject(status, { headers: { location: listener.url }, body: 'text' });
    await assert.rejects(client.ready, isSessionError);
    await assert.rejects(client.closed, isSessionError);
    await assert.rejects(client.createBidirectionalStream(), { name: 'InvalidStateError' });
  });
}

for (const status of [301, 302, 307, 308]) {
  test(`${status} to another origin: nothing is asked for there, nor again here`, async (context) => {
    const [listener, elsewhere] = [await startServer(context), await startServer(context)];
    const client = connect(listener);
    const request = await listener.request();
    request.reject(status, { headers: { location: `${elsewhere.url}redirected` } });
    await assert.rejects(client.ready, NOT_ESTABLISHED);
    // The next request at each is the first of another session.
    for (const server of [listener, elsewhere]) {
      const marker = connect(server, { path: 'marker' });
      assert.equal((await server.request()).url, `${server.url}marker`);
      marker.close();
      await assert.rejects(marker.ready);
    }
  });
}

test('a request is answered once', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const request = await listener.request();
  await assert.rejects(request.accept({ protocol: 'not offered' }), TypeError);
  assert.throws(() => request.reject(200), RangeError);
  await request.accept();
  await assert.rejects(request.accept(), { name: 'InvalidStateError' });
  assert.throws(() => request.reject(404), { name: 'InvalidStateError' });
  await client.ready;
  client.close();
});

test('a request whose client goes away aborts; to accept it is no error, but the session fails', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const request = await listener.request();
  const aborted = once(request.signal, 'abort');
  client.close();
  await aborted;
  const session = await request.accept();
  await assert.rejects(session.ready, isSessionError);
  await assert.rejects(session.closed, isSessionError);
  await assert.rejects(session.createBidirectionalStream(), { name: 'InvalidStateError' });
  await assert.rejects(session.incomingBidirectionalStreams.getReader().read(), isSessionError);
  await assert.rejects(request.accept(), { name: 'InvalidStateError' });
  await assert.rejects(client.ready, isSessionError);
});

test('a request whose client goes away can be rejected', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const request = await listener.request();
  const aborted = once(request.signal, 'abort');
  client.close();
  await aborted;
  request.reject(404);
  assert.throws(() => request.reject(404), { name: 'InvalidStateError' });
});

for (const [what, closer] of [
  ['the client', 'client'],
  ['the server', 'server'],
]) {
  test(`${what} closes with a code and a reason`, async (context) => {
    const session = await openSession(context);
    const { near, far } = await openStreams(session);
    session[closer].close({ closeCode: 2 ** 32 - 1, reason: 'bye €' });
    const info = { closeCode: 2 ** 32 - 1, reason: 'bye €' };
    assert.deepEqual(await session.client.closed, info);
    assert.deepEqual(await session.server.closed, info);
    for (const { readable, writable } of [near, far]) {
      await assert.rejects(readable.getReader().closed, isSessionError);
      await assert.rejects(writable.getWriter().closed, isSessionError);
    }
    for (const end of [session.client, session.server]) {
      await assert.rejects(end.createUnidirectionalStream(), { name: 'InvalidStateError' });
      assert.equal((await end.incomingBidirectionalStreams.getReader().read()).done, true);
      assert.equal((await end.datagrams.readable.getReader().read()).done, true);
    }
  });
}

for (const [given, closeCode] of [
  [2 ** 32, 0],
  [2 ** 32 + 7, 7],
  [2 ** 53, 0],
  [-(2 ** 31), 2 ** 31],
  [1.9, 1],
  [Number.NaN, 0],
  [-Infinity, 0],
  ['0x10', 16],
]) {
  test(`a close code of ${given} is ${closeCode}`, async (context) => {
    const { client, server } = await openSession(context);
    client.close({ closeCode: given });
    assert.equal((await client.closed).closeCode, closeCode);
    assert.equal((await server.closed).closeCode, closeCode);
  });
}

test('a close code that is no number throws, and the session goes on', async (context) => {
  const { client, server } = await openSession(context);
  for (const closeCode of [1n, Symbol('x'), { valueOf: () => 1n }]) {
    assert.throws(() => client.close({ closeCode }), TypeError);
  }
  client.close({ closeCode: 3 });
  assert.equal((await server.closed).closeCode, 3);
});

test('of a reason the peer hears 1024 bytes, cut between two characters', async (context) => {
  const { client, server } = await openSession(context);
  client.close({ reason: '€'.repeat(2000) });
  assert.equal((await client.closed).reason, '€'.repeat(2000));
  assert.equal((await server.closed).reason, '€'.repeat(341));
});

test('lone surrogates in a reason become U+FFFD; a second close changes nothing', async (context) => {
  const { client, server } = await openSession(context);
  client.close({ closeCode: -1, reason: '\ud800' });
  client.close({ closeCode: 5 });
  assert.deepEqual(await server.closed, { closeCode: 2 ** 32 - 1, reason: '\ufffd' });
});

test('close before ready rejects both promises', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const waiting = client.createBidirectionalStream();
  client.close({ closeCode: 1 });
  await assert.rejects(client.ready, isSessionError);
  await assert.rejects(client.closed, isSessionError);
  await assert.rejects(waiting, { name: 'InvalidStateError' });
});

test('an answer that is there when the script closes shows nothing', async () => {
  const { cert, key, hash } = createCertificate();
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./answering-worker.mjs', import.meta.url), {
    workerData: { cert, key, answered },
  });
  const [port] = await once(worker, 'message');
  const client = connect({ url: `https://127.0.0.1:${port}/`, hash }, { protocols: ['a'] });
  assert.notEqual(Atomics.wait(answered, 0, 0, 30_000), 'timed-out');
  client.close();
  await assert.rejects(client.ready, isSessionError);
  await once(worker, 'message');
  assert.deepEqual([client.protocol, client.responseHeaders, client.reliability], ['', null, 'pending']);
});

test('promises that are first asked for when all is over have its outcome', async (context) => {
  const { client, listener } = await openSession(context);
  const streams = client.incomingUnidirectionalStreams.getReader();
  await listener.server.close({ timeoutMs: 0, closeCode: 7, reason: 'over' });
  await streams.closed;
  assert.equal(client.closed, client.closed);
  assert.deepEqual(await client.closed, { closeCode: 7, reason: 'over' });
  assert.equal(await client.ready, undefined);
  assert.equal(client.responseHeaders, client.responseHeaders);

  const failed = connect(listener);
  const none = failed.incomingUnidirectionalStreams.getReader();
  const error = await none.closed.catch((reason) => reason);
  assert.equal(failed.closed, failed.closed);
  for (const promise of [failed.closed, failed.ready]) {
    await assert.rejects(promise, (reason) => reason === error && isSessionError(reason));
  }
});

test('streams that are asked for before ready come after it, in order', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const opened = [];
  const asked = ['a', 'b', 'c'].map((name) => client.createUnidirectionalStream().then(() => opened.push(name)));
  await (await listener.request()).accept();
  await Promise.all(asked);
  assert.deepEqual(opened, ['a', 'b', 'c']);
  client.close();
});

test('a server that ends closes its sessions and refuses new ones', async (context) => {
  const { client, server, listener } = await openSession(context);
  await listener.server.close({ timeoutMs: 0 });
  assert.deepEqual(await client.closed, { closeCode: 0, reason: '' });
  assert.deepEqual(await server.closed, { closeCode: 0, reason: '' });
});

test('a server waits for its sessions', async (context) => {
  const { client, listener } = await openSession(context);
  const ended = listener.server.close({ timeoutMs: 60_000 });
  // It is there, and still opens streams.
  await client.createBidirectionalStream();
  client.close({ closeCode: 3 });
  await ended;
});

test('the short way accepts every request', async (context) => {
  const { cert, key, hash } = createCertificate();
  const server = new WebTransportServer({ host: '127.0.0.1', cert, key });
  context.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const url = `https://127.0.0.1:${server.address().port}/`;
  const arrived = once(server, 'connection');
  const client = connect({ url, hash });
  const [event] = await arrived;
  assert.equal(event.request.url, url);
  await client.ready;
  event.socket.close({ closeCode: 9 });
  assert.equal((await client.closed).closeCode, 9);
});

test('a request waits until someone listens or reads; after a cancel it is refused', async (context) => {
  const { cert, key, hash } = createCertificate();
  const server = new WebTransportServer({ host: '127.0.0.1', cert, key });
  context.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const listener = { hash, url: `https://127.0.0.1:${server.address().port}/` };
  const [one, two] = [connect(listener), connect(listener)];
  for await (const request of server.incomingRequests) {
    await request.accept();
    break;
  }
  const outcomes = await Promise.allSettled([one.ready, two.ready]);
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  one.close();
  two.close();
});

test('a port in use rejects ready with the code of the system', async (context) => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  context.after(() => socket.close());
  await once(socket, 'listening');
  const { cert, key } = createCertificate();
  const server = new WebTransportServer({ host: '127.0.0.1', port: socket.address().port, cert, key });
  await assert.rejects(server.ready, { code: 'EADDRINUSE' });
  await server.close();
});

test('a name that does not resolve, and a server that speaks no QUIC', async () => {
  const nowhere = new WebTransport('https://name.invalid/');
  await assert.rejects(nowhere.ready, isSessionError);
  // Answers each packet with one that is no QUIC.
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const client = new WebTransport(`https://127.0.0.1:${socket.address().port}/`);
  await once(socket, 'message');
  socket.close();
  client.close();
  await assert.rejects(client.ready, isSessionError);
});

test('many sessions on one connection pool are many connections', async (context) => {
  const listener = await startServer(context);
  const clients = Array.from({ length: 20 }, () => connect(listener));
  for (let count = 0; count < clients.length; count += 1) {
    const session = await (await listener.request()).accept();
    const stream = await session.createUnidirectionalStream();
    const writer = stream.getWriter();
    await writer.write(Uint8Array.of(count));
  }
  const seen = await Promise.all(
    clients.map(async (client) => {
      await client.ready;
      return (await next(await next(client.incomingUnidirectionalStreams)))[0];
    }),
  );
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    Array.from(seen, (_, index) => index),
  );
  for (const client of clients) client.close();
});
