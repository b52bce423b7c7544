// Sessions that share a connection: allowPooling. A server tells how many connections it has by refusing more.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import webwire from '../../index.js';
import { next, openStreams, readAll, startServer, writeAll } from './pair.mjs';

const { WebTransport, WebTransportError } = webwire;

/** More than a session may have unread. */
const FLOOD = new Uint8Array(3 * 1024 * 1024);
/** What a server with the usual limits lets share a connection. */
const SESSIONS = 8;

const isSessionError = (error) => error instanceof WebTransportError && error.source === 'session';

/** A client that trusts the server by its certificate, since hashes exclude pooling. Its end is nobody's concern unless a test looks. */
function pooled(context, { url, cert }, options = {}) {
  const client = new WebTransport(url, { allowPooling: true, ca: cert, ...options });
  client.closed.catch(() => {});
  client.ready.catch(() => {});
  context.after(() => client.close());
  return client;
}

/** An established session: `{ client, server }`. */
async function open(context, listener, options) {
  const client = pooled(context, listener, options);
  const server = await (await listener.request()).accept();
  server.closed.catch(() => {});
  await client.ready;
  return { client, server };
}

/** So many that are asked for at once. */
async function openAtOnce(context, listener, count) {
  const clients = Array.from({ length: count }, (_, index) =>
    pooled(context, listener, { headers: { 'x-index': String(index) } }),
  );
  const sessions = new Array(count);
  for (let answered = 0; answered < count; answered += 1) {
    const request = await listener.request();
    const index = Number(request.headers.get('x-index'));
    const server = await request.accept();
    server.closed.catch(() => {});
    sessions[index] = { client: clients[index], server };
  }
  await Promise.all(clients.map((client) => client.ready));
  return sessions;
}

/** A stream with bytes from one end to the other. */
async function sendOne(from, to, bytes) {
  const written = from.createUnidirectionalStream().then((stream) => writeAll(stream, bytes));
  const read = await readAll(await next(to.incomingUnidirectionalStreams));
  await written;
  return read;
}

/** Streams and datagrams of each kind reach the other end of this session, both ways. */
async function exercise(session, byte) {
  const { client, server } = session;
  for (const [from, to] of [
    [client, server],
    [server, client],
  ]) {
    assert.deepEqual([...(await sendOne(from, to, Uint8Array.of(byte)))], [byte]);
  }
  const { near, far } = await openStreams(session, Uint8Array.of(byte));
  assert.deepEqual([...(await next(far.readable))], [byte]);
  await writeAll(far.writable, Uint8Array.of(byte, byte));
  assert.deepEqual([...(await readAll(near.readable))], [byte, byte]);
  const reading = next(server.datagrams.readable);
  const writer = client.datagrams.createWritable().getWriter();
  await writer.write(Uint8Array.of(byte, byte, byte));
  assert.deepEqual([...(await reading)], [byte, byte, byte]);
}

/** Writes more than the other end takes unread. */
async function flood(session) {
  const writer = (await session.createUnidirectionalStream()).getWriter();
  writer.closed.catch(() => {});
  writer.write(FLOOD).catch(() => {});
  return writer;
}

test('sessions share a connection, and each gets what is its own', async (context) => {
  const listener = await startServer(context, { maxConnections: 1 });
  const sessions = [];
  for (let count = 0; count < SESSIONS; count += 1) sessions.push(await open(context, listener));
  await Promise.all(sessions.map((session, index) => exercise(session, index + 1)));
});

test('sessions that are asked for at once share a connection', async (context) => {
  const listener = await startServer(context, { maxConnections: 1 });
  const sessions = await openAtOnce(context, listener, SESSIONS);
  await Promise.all(sessions.map((session, index) => exercise(session, index + 1)));
});

for (const [what, other] of [
  ['does not allow pooling', { allowPooling: false }],
  ['has another time for silence', { idleTimeoutMs: 20_000 }],
  ['names the address that it comes from', { localAddress: '127.0.0.1' }],
  ['trusts in another way', { rejectUnauthorized: false }],
]) {
  test(`a session that ${what} has a connection of its own`, async (context) => {
    const listener = await startServer(context, { maxConnections: 1 });
    const { client, server } = await open(context, listener);
    await assert.rejects(pooled(context, listener, other).ready, isSessionError);
    await exercise({ client, server }, 1);
  });
}

test('a session beyond what one connection takes gets a new one, and so do many', async (context) => {
  const listener = await startServer(context, { maxConnections: 3 });
  const sessions = await openAtOnce(context, listener, 2 * SESSIONS + 1);
  await exercise(sessions.at(-1), 1);
  // There is room for all the others of the third connection.
  for (let count = 1; count < SESSIONS; count += 1) sessions.push(await open(context, listener));
  await assert.rejects(pooled(context, listener).ready, isSessionError);
});

test('a server that lets nobody share gives each a connection', async (context) => {
  const listener = await startServer(context, { maxConnections: 3, maxSessionsPerConnection: 1 });
  const sessions = await openAtOnce(context, listener, 3);
  await Promise.all(sessions.map((session, index) => exercise(session, index + 1)));
  await assert.rejects(pooled(context, listener).ready, isSessionError);
});

test('no more sessions share a connection than the server says', async (context) => {
  const listener = await startServer(context, { maxConnections: 3, maxSessionsPerConnection: 2 });
  const sessions = await openAtOnce(context, listener, 5);
  await Promise.all(sessions.map((session, index) => exercise(session, index + 1)));
  // The third connection has room for one.
  sessions.push(await open(context, listener));
  await assert.rejects(pooled(context, listener).ready, isSessionError);
});

for (const closer of ['client', 'server']) {
  test(`a session that the ${closer} closes leaves the others alone, and makes room`, async (context) => {
    const listener = await startServer(context, { maxConnections: 1 });
    const sessions = await openAtOnce(context, listener, SESSIONS);
    const first = sessions.shift();
    first[closer].close({ closeCode: 3, reason: 'enough' });
    for (const end of [first.client, first.server]) {
      assert.deepEqual(await end.closed, { closeCode: 3, reason: 'enough' });
    }
    sessions.push(await open(context, listener));
    await Promise.all(sessions.map((session, index) => exercise(session, index + 1)));
  });
}

test('a connection ends with its last session', async (context) => {
  const listener = await startServer(context, { maxConnections: 1 });
  const sessions = await openAtOnce(context, listener, 2);
  const accepted = listener.request().then((request) => request.accept());
  for (const { client } of sessions) client.close();
  await Promise.all(sessions.map(({ server }) => server.closed));
  // There is room for another as soon as the server has heard of the end of this one.
  let other;
  do other = pooled(context, listener, { allowPooling: false });
  while (
    await other.ready.then(
      () => false,
      () => true,
    )
  );
  await exercise({ client: other, server: await accepted }, 1);
});

test('a session that is given up while it connects does not fail the others', async (context) => {
  // Whether the second has joined the first one's attempt by now is up to the threads.
  const listener = await startServer(context, { maxConnections: 2 });
  const [first, second] = ['first', 'second'].map((name) => pooled(context, listener, { headers: { 'x-name': name } }));
  first.close();
  await assert.rejects(first.ready, isSessionError);
  let request;
  // The first one's may have been quicker than its end.
  do request = await listener.request();
  while (request.headers.get('x-name') === 'first');
  const server = await request.accept();
  await second.ready;
  await exercise({ client: second, server }, 1);
});

test('a session that is given up while it waits for its answer leaves the others alone', async (context) => {
  const listener = await startServer(context, { maxConnections: 1 });
  const clients = ['first', 'second'].map((name) => pooled(context, listener, { headers: { 'x-name': name } }));
  const requests = {};
  for (const _ of clients) {
    const request = await listener.request();
    requests[request.headers.get('x-name')] = request;
  }
  clients[0].close();
  await assert.rejects(clients[0].ready, isSessionError);
  const server = await requests.second.accept();
  await clients[1].ready;
  await exercise({ client: clients[1], server }, 1);
});

test('a session that is rejected leaves the others alone', async (context) => {
  const listener = await startServer(context, { maxConnections: 1 });
  const session = await open(context, listener);
  const client = pooled(context, listener);
  (await listener.request()).reject(404);
  await assert.rejects(client.ready, isSessionError);
  await exercise(session, 1);
});

for (const [what, ends] of [
  ['the server', ['client', 'server']],
  ['the client', ['server', 'client']],
]) {
  test(`a session that ${what} does not read stops nobody else`, async (context) => {
    const listener = await startServer(context, { maxConnections: 1 });
    const sessions = await openAtOnce(context, listener, SESSIONS);
    const last = sessions.pop();
    // All the others together fill whatever they may.
    const floods = [];
    for (const session of sessions) {
      for (let count = 0; count < 2; count += 1) floods.push(await flood(session[ends[0]]));
    }
    for (let round = 1; round <= 20; round += 1) {
      const bytes = await sendOne(last[ends[0]], last[ends[1]], new Uint8Array(1024 * 1024).fill(round));
      assert.equal(bytes.length, 1024 * 1024);
      assert.ok(bytes.every((byte) => byte === round));
    }
    await exercise(last, 7);
    // A stream that nobody has any more would have been given up.
    await Promise.allSettled(floods.map((writer) => writer.abort()));
  });
}

test('a stream that is not read stops no other stream of its session', async (context) => {
  const listener = await startServer(context);
  const { client, server } = await open(context, listener);
  const writer = await flood(client);
  const unread = await next(server.incomingUnidirectionalStreams);
  for (let round = 0; round < 20; round += 1) {
    assert.equal((await sendOne(client, server, new Uint8Array(1024 * 1024))).length, 1024 * 1024);
  }
  // What waited comes when it is read.
  const reader = unread.getReader();
  for (let left = FLOOD.length; left > 0; ) left -= (await reader.read()).value.length;
  await writer.close();
});

test('a session has a hundred streams of each kind, whatever the others have', async (context) => {
  const listener = await startServer(context, { maxConnections: 1 });
  const sessions = await openAtOnce(context, listener, 3);
  for (const { client, server } of sessions) {
    for (const session of [client, server]) {
      for (let count = 0; count < 100; count += 1) {
        await session.createUnidirectionalStream();
        await session.createBidirectionalStream();
      }
    }
  }
});

test('streams beyond the limit of a session wait, and come when others end', async (context) => {
  const listener = await startServer(context);
  const { client, server } = await open(context, listener);
  const open_ = [];
  for (;;) {
    const stream = await client.createUnidirectionalStream().catch((error) => error);
    if (stream instanceof Error) {
      assert.equal(stream.name, 'QuotaExceededError');
      break;
    }
    open_.push(stream);
  }
  const waiting = client.createUnidirectionalStream({ waitUntilAvailable: true });
  for (const stream of open_) {
    await writeAll(stream, Uint8Array.of(1));
    await readAll(await next(server.incomingUnidirectionalStreams));
  }
  await writeAll(await waiting, Uint8Array.of(2));
  assert.deepEqual([...(await readAll(await next(server.incomingUnidirectionalStreams)))], [2]);
});

test('streams that are reset with bytes on their way cost a session nothing', async (context) => {
  const listener = await startServer(context);
  const { client, server } = await open(context, listener);
  // Ten times what a session may have unread.
  for (let round = 0; round < 80; round += 1) {
    const stream = await client.createUnidirectionalStream({ waitUntilAvailable: true });
    const writer = stream.getWriter();
    writer.closed.catch(() => {});
    await writer.write(new Uint8Array(256 * 1024));
    const far = await next(server.incomingUnidirectionalStreams);
    if (round % 2 === 0) await far.cancel();
    else {
      const reading = assert.rejects(readAll(far), WebTransportError);
      await writer.abort();
      await reading;
    }
  }
  assert.equal((await sendOne(client, server, FLOOD)).length, FLOOD.length);
});

test('sessions that are pooled drain together, and a new one goes elsewhere', async (context) => {
  const listener = await startServer(context);
  const sessions = await openAtOnce(context, listener, 3);
  const ended = listener.server.close({ timeoutMs: 60_000, closeCode: 5 });
  await Promise.all(sessions.map(({ client }) => client.draining));
  // The connection takes no more, and a new one is not to be had either.
  await assert.rejects(pooled(context, listener).ready, isSessionError);
  for (const { client } of sessions) client.close();
  await ended;
});

test('a worker that is terminated while it connects leaves nothing behind', async (context) => {
  const listener = await startServer(context);
  const mine = await open(context, listener);
  const requests = [listener.request(), listener.request()];
  const worker = new Worker(new URL('./pooling-worker.mjs', import.meta.url), {
    workerData: { url: listener.url, cert: listener.cert, waits: true },
  });
  await once(worker, 'message');
  await Promise.all(requests);
  await worker.terminate();
  await exercise(mine, 1);
  await exercise(await open(context, listener), 2);
});

test('a worker that is terminated ends its sessions and nobody else’s', async (context) => {
  const listener = await startServer(context);
  const mine = await open(context, listener);
  const worker = new Worker(new URL('./pooling-worker.mjs', import.meta.url), {
    workerData: { url: listener.url, cert: listener.cert },
  });
  const theirs = [];
  for (let count = 0; count < 2; count += 1) theirs.push(await (await listener.request()).accept());
  for (const session of theirs) await next(session.incomingUnidirectionalStreams);
  await worker.terminate();
  await Promise.allSettled(theirs.map((session) => session.closed));
  await exercise(mine, 1);
});

/** A process with three sessions of one connection: `{ child, sessions }`. */
async function startProcess(context, how, options) {
  const listener = await startServer(context, { maxConnections: 1, ...options });
  const child = fork(new URL('pooling-process.mjs', import.meta.url), { execArgv: ['--expose-gc'] });
  context.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  child.send({ url: listener.url, cert: listener.cert, how });
  const sessions = [];
  for (let count = 0; count < 3; count += 1) sessions.push(await (await listener.request()).accept());
  for (const { closed } of sessions) closed.catch(() => {});
  return { child, exited, listener, sessions };
}

/** The other process sends back what it is sent; then the session is closed. */
async function isEchoed(session) {
  await writeAll(await session.createUnidirectionalStream(), Uint8Array.of(1, 2, 3));
  assert.deepEqual([...(await readAll(await next(session.incomingUnidirectionalStreams)))], [1, 2, 3]);
  session.close();
}

test('sessions that nothing refers to are collected, and the connection stays for the others', async (context) => {
  const { exited, sessions } = await startProcess(context, 'collected');
  const open = new Set(sessions);
  for (const session of sessions) session.closed.then(() => open.delete(session));
  while (open.size > 1) await Promise.race([...open].map(({ closed }) => closed));
  const [kept] = open;
  await isEchoed(kept);
  assert.deepEqual(await exited, [0, null]);
});

test('a process with pooled sessions ends when its script says so', async (context) => {
  const { exited, sessions } = await startProcess(context, 'exit', { idleTimeoutMs: 4000 });
  assert.deepEqual(await exited, [0, null]);
  await Promise.allSettled(sessions.map(({ closed }) => closed));
});

test('a process ends with the last of its pooled sessions', async (context) => {
  const { exited, sessions } = await startProcess(context, 'closed');
  await Promise.all(sessions.map(isEchoed));
  assert.deepEqual(await exited, [0, null]);
});

test('a defect of ours that ends a connection ends all its sessions, and the next one has another', async (context) => {
  const { child, exited, listener, sessions } = await startProcess(context, 'panic', { maxConnections: 2 });
  await once(child, 'message');
  const requests = listener.request();
  await Promise.all(sessions.map(({ datagrams }) => datagrams.createWritable().getWriter().write(Uint8Array.of(1))));
  await Promise.all(sessions.map(({ closed }) => assert.rejects(closed, isSessionError)));
  await isEchoed(await (await requests).accept());
  assert.deepEqual(await once(child, 'message'), [{ sources: ['session', 'session', 'session'] }, undefined]);
  assert.deepEqual(await exited, [0, null]);
});
