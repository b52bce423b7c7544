// Clients that a server does not let in: the channel `webwire:webtransport:server:reject` says which, and why.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { test } from 'node:test';
import { createCertificate } from '../helpers/certificate.mjs';
import { clientHello, crypto, initial, transportParameters } from '../helpers/quic.mjs';
import { connect, startServer } from './pair.mjs';

const CHANNEL = 'webwire:webtransport:server:reject';
/** How many the native core keeps until JavaScript looks at them. */
const KEPT = 64;

/** What is published from now on, one after the other. */
function rejections(context) {
  const messages = [];
  let arrived = () => {};
  const listener = (message) => {
    messages.push(message);
    arrived();
  };
  subscribe(CHANNEL, listener);
  context.after(() => unsubscribe(CHANNEL, listener));
  return {
    messages,
    async next() {
      while (messages.length === 0) {
        await new Promise((resolve) => {
          arrived = resolve;
        });
      }
      return messages.shift();
    },
  };
}

const told = ({ error: { phase, code, status } }) => [phase, code, status];

/** A socket that sends to the server. */
async function startSender(context, { server }) {
  const socket = createSocket('udp4');
  socket.connect(server.address().port, '127.0.0.1');
  await once(socket, 'connect');
  context.after(() => socket.close());
  return socket;
}

/** The beginning of a ClientHello: its end never comes. */
const endless = () => initial(crypto(0, clientHello(transportParameters(randomBytes(8))).subarray(0, 100)));

const LONG = { 'x-long': 'x'.repeat(70_000) };

/** What keeps one of our clients out, by the server's options and its own. */
const clients = {
  'as many connections as may be': {
    expected: ['connect', 'ERR_TOO_MANY_CONNECTIONS', undefined],
    options: { maxConnections: 0 },
  },
  'as many requests as may be': {
    expected: ['handshake', 'ERR_TOO_MANY_REQUESTS', 503],
    options: { maxPendingRequests: 0 },
  },
  'headers that are too long': {
    expected: ['handshake', 'ERR_HANDSHAKE_REQUEST', 431],
    request: { headers: LONG },
  },
  'a client that does not trust the server': {
    expected: ['tls', 'EPROTO', undefined],
    hash: new Uint8Array(32),
  },
  'a client without the certificate that it needs': {
    expected: ['tls', 'EPROTO', undefined],
    options: { requestCert: true, ca: createCertificate().cert },
  },
  'a client with a certificate that nobody vouches for': {
    expected: ['tls', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', undefined],
    options: { requestCert: true, ca: createCertificate({ authority: true }).cert },
    request: createCertificate(),
  },
};

for (const [what, { expected, options, request = {}, hash }] of Object.entries(clients)) {
  test(`${what}: ${expected.join(' ')}`, async (context) => {
    const listener = await startServer(context, options);
    const { next, messages } = rejections(context);
    const { cert, key, headers } = request;
    const extra = { ...(cert === undefined ? {} : { cert, key }), ...(headers === undefined ? {} : { headers }) };
    const client = connect({ ...listener, ...(hash === undefined ? {} : { hash }) }, extra);
    await assert.rejects(client.ready);
    const { server, request: of, error, ...rest } = await next();
    assert.deepEqual(told({ error }), expected);
    assert.deepEqual([server, of, rest], [listener.server, undefined, {}]);
    assert.equal(error.address, '127.0.0.1');
    assert.ok(Number.isInteger(error.port) && error.port > 0);
    assert.ok(error instanceof Error && error.message.startsWith(`${error.code}: `));
    await listener.server.close({ timeoutMs: 0 });
    assert.deepEqual(messages, []);
  });
}

/** Packets after which there is no handshake. */
const packets = {
  'an unknown frame': { frames: Buffer.of(0x3f), expected: ['connect', 'ERR_QUIC_PROTOCOL', undefined] },
  'no TLS': { frames: crypto(0, Buffer.alloc(100, 0xff)), expected: ['connect', 'ERR_QUIC_PROTOCOL', undefined] },
  'bad transport parameters': {
    frames: crypto(0, clientHello(Buffer.of(15, 8, 1))),
    expected: ['connect', 'ERR_QUIC_PROTOCOL', undefined],
  },
};

for (const [what, { frames, expected }] of Object.entries(packets)) {
  test(`an Initial with ${what}: ${expected.join(' ')}`, async (context) => {
    const listener = await startServer(context);
    const { next } = rejections(context);
    const sender = await startSender(context, listener);
    sender.send(initial(frames));
    const { server, request, error } = await next();
    assert.deepEqual(told({ error }), expected);
    assert.deepEqual([server, request], [listener.server, undefined]);
    assert.deepEqual([error.address, error.port], [sender.address().address, sender.address().port]);
  });
}

test('a ClientHello that never ends: its time is up', async (context) => {
  const listener = await startServer(context, { handshakeTimeoutMs: 50 });
  const { next } = rejections(context);
  const sender = await startSender(context, listener);
  sender.send(endless());
  const { error } = await next();
  assert.deepEqual(told({ error }), ['connect', 'ETIMEDOUT', undefined]);
  assert.equal(error.port, sender.address().port);
});

test('as many handshakes as may be, and the end of the server in one', async (context) => {
  const listener = await startServer(context, { maxPendingHandshakes: 1, handshakeTimeoutMs: 600_000 });
  const { next } = rejections(context);
  const [first, second] = [await startSender(context, listener), await startSender(context, listener)];
  for (const sender of [first, second]) await new Promise((resolve) => sender.send(endless(), resolve));
  const { error } = await next();
  assert.deepEqual(told({ error }), ['connect', 'ERR_TOO_MANY_HANDSHAKES', undefined]);
  assert.equal(error.port, second.address().port);
  const client = connect(listener);
  await assert.rejects(client.ready);
  assert.deepEqual(told(await next()), ['connect', 'ERR_TOO_MANY_HANDSHAKES', undefined]);
  await listener.server.close({ timeoutMs: 0 });
  const last = await next();
  assert.deepEqual(told(last), ['connect', 'ERR_SERVER_CLOSED', undefined]);
  assert.equal(last.error.port, first.address().port);
});

test('clients that come while the server closes', async (context) => {
  const listener = await startServer(context);
  const open = connect(listener);
  await (await listener.request()).accept();
  await open.ready;
  const { next } = rejections(context);
  const closed = listener.server.close({ timeoutMs: 600_000 });
  const late = connect(listener);
  await assert.rejects(late.ready);
  assert.equal((await next()).error.code, 'ERR_SERVER_CLOSED');
  open.close();
  await closed;
});

test('requests that come with the one in which the script closes the server: each is told of once', async (context) => {
  const { messages } = rejections(context);
  let asked = 0;
  let closed;
  const listener = await startServer(context, {
    onRequest() {
      asked += 1;
      // Others come while this thread stands still.
      execFileSync(process.execPath, ['-e', '']);
      closed ??= listener.server.close({ timeoutMs: 0 });
    },
  });
  const clients = Array.from({ length: 20 }, () => connect(listener));
  await Promise.all(clients.map((client) => assert.rejects(client.ready)));
  await closed;
  assert.equal(asked, 1);
  for (const { error } of messages) assert.equal(error.code, 'ERR_SERVER_CLOSED');
  const addresses = messages.map(({ error }) => error.message + error.port);
  assert.ok(messages.length > 1 && messages.length <= clients.length, `${messages.length} messages: ${addresses}`);
});

test('a request whose client has gone is told of once, also if the script then accepts it', async (context) => {
  const listener = await startServer(context);
  const { next, messages } = rejections(context);
  const client = connect(listener);
  const request = await listener.request();
  client.close();
  const { request: gone, error } = await next();
  assert.equal(gone, request);
  assert.deepEqual(told({ error }), ['handshake', 'ERR_REQUEST_GONE', undefined]);
  assert.deepEqual([error.address, error.port], [request.remoteAddress.address, request.remoteAddress.port]);
  const session = await request.accept();
  await assert.rejects(session.ready);
  assert.deepEqual(messages, []);
});

/** Sends so many first packets, each of a client of its own, and waits until all of them are refused. */
const FLOOD = `
  import { createSocket } from 'node:dgram';
  import { once } from 'node:events';
  import { initial } from ${JSON.stringify(new URL('../helpers/quic.mjs', import.meta.url).href)};
  const [port, count] = process.argv.slice(-2).map(Number);
  const socket = createSocket('udp4');
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  for (let sent = 0; sent < count; sent += 1) {
    socket.send(initial(Buffer.alloc(0)));
    await once(socket, 'message');
  }
  socket.close();
`;

function flood({ server }, count) {
  execFileSync(process.execPath, [
    '--input-type=module',
    '-e',
    FLOOD,
    '--',
    String(server.address().port),
    String(count),
  ]);
}

test('a flood while the script is busy: the first ones are told of, the others counted', async (context) => {
  const listener = await startServer(context, { maxConnections: 0 });
  const { next, messages } = rejections(context);
  // This thread stands still meanwhile.
  flood(listener, KEPT + 10);
  const first = await next();
  assert.equal(messages.length, KEPT - 1);
  const all = [first, ...messages.splice(0)];
  for (const message of all) assert.deepEqual(told(message), ['connect', 'ERR_TOO_MANY_CONNECTIONS', undefined]);
  assert.deepEqual(
    all.map(({ more }) => more),
    [...Array(KEPT - 1).fill(undefined), 10],
  );
  flood(listener, 1);
  assert.equal((await next()).more, undefined);
  assert.deepEqual(messages, []);
});

test('what nobody listens for is dropped, and does not come late', async (context) => {
  const listener = await startServer(context, { maxConnections: 0 });
  flood(listener, KEPT + 10);
  const refused = connect(listener);
  await assert.rejects(refused.ready);
  const { next, messages } = rejections(context);
  const heard = connect(listener);
  await assert.rejects(heard.ready);
  assert.equal((await next()).more, undefined);
  assert.deepEqual(messages, []);
});
