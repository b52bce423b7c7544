// What the operator hears of sessions and servers: the channels `webwire:webtransport:…`.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import { startUdpProxy } from '../helpers/udp-proxy.mjs';
import { connect, givingUp, NOT_ESTABLISHED, openSession, startServer } from './pair.mjs';

const { WebTransport, WebTransportServer } = webwire;

/** Collects what is published, by the names of the channels. */
function published(context, ...names) {
  const messages = [];
  for (const name of names) {
    const listener = (message) => messages.push([name, message]);
    subscribe(`webwire:webtransport:${name}`, listener);
    context.after(() => unsubscribe(`webwire:webtransport:${name}`, listener));
  }
  return messages;
}

const SERVER = ['listening', 'request', 'connection', 'reject', 'close', 'error'].map((name) => `server:${name}`);

test('a session opens and closes, at both ends', async (context) => {
  const messages = published(context, 'open', 'close', 'error');
  const listener = await startServer(context);
  const client = connect(listener, { path: 'a?b', protocols: ['chat'] });
  const request = await listener.request();
  const server = await request.accept({ protocol: 'chat' });
  await client.ready;
  client.close({ closeCode: 7, reason: 'enough' });
  await server.closed;
  const url = `${listener.url}a?b`;
  const of = (webtransport) => messages.filter(([, message]) => message.webtransport === webtransport);
  for (const webtransport of [client, server]) {
    assert.deepEqual(of(webtransport), [
      ['open', { webtransport, url, protocol: 'chat' }],
      ['close', { webtransport, url, closeCode: 7, reason: 'enough' }],
    ]);
  }
});

/** An idle timeout that is to pass, and long enough for the handshake on a busy machine. */
const SOON = { idleTimeoutMs: 3000 };

/** What is published of one session: what of its error can be told apart. */
function causeOf(messages, webtransport) {
  const [[name, { url, error, ...rest }], ...others] = messages.filter(([, one]) => one.webtransport === webtransport);
  assert.deepEqual([name, rest, others], ['error', { webtransport }, []]);
  assert.ok(error instanceof Error && error.message.startsWith(`${error.code}: `));
  const { phase, code, status } = error;
  return status === undefined ? { url, phase, code } : { url, phase, code, status };
}

/** Clients that get no session, or lose it: by what happens, the phase in which it does, and the code. */
const failures = {
  'a name that cannot have an address': {
    expected: { phase: 'dns', code: 'ENOTFOUND' },
    start: async () => new WebTransport(`https://${'a'.repeat(64)}.invalid/`),
  },
  'a port that Fetch blocks': {
    expected: { phase: 'connect', code: 'ERR_BLOCKED_PORT' },
    start: async () => new WebTransport('https://127.0.0.1:6000/'),
  },
  'a server that takes no connection': {
    expected: { phase: 'connect', code: 'ERR_CLOSED_BY_PEER' },
    start: async (context) => connect(await startServer(context, { maxConnections: 0 })),
  },
  'a certificate with another hash': {
    expected: { phase: 'tls', code: 'CERT_REJECTED' },
    start: async (context) => connect({ ...(await startServer(context)), hash: new Uint8Array(32) }),
  },
  'a certificate that nobody vouches for': {
    expected: { phase: 'tls', code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' },
    start: async (context) => new WebTransport((await startServer(context)).url),
  },
  'a server that wants a certificate': {
    expected: { phase: 'tls', code: 'EPROTO' },
    start: async (context) => connect(await startServer(context, { requestCert: true, ca: createCertificate().cert })),
  },
  'a request that is rejected': {
    expected: { phase: 'request', code: 'ERR_REQUEST_STATUS', status: 403 },
    start: async (context) => connect(await startServer(context, { onRequest: (request) => request.reject(403) })),
  },
  'a script that closes it before it is there': {
    expected: { phase: 'abort', code: 'ABORT_ERR' },
    async start(context) {
      const client = connect(await startServer(context));
      client.close();
      return client;
    },
  },
  'a session whose server closes its connection': {
    expected: { phase: 'session', code: 'ERR_CLOSED_BY_PEER' },
    async start(context) {
      const { client } = await openSession(context);
      const giveUp = async () => {
        for (;;) await givingUp.unidirectional(client);
      };
      await assert.rejects(giveUp());
      return client;
    },
  },
  'a session whose server is silent': {
    expected: { phase: 'session', code: 'ETIMEDOUT' },
    async start(context) {
      const listener = await startServer(context);
      const proxy = await startUdpProxy(context, listener.server.address().port);
      const client = connect({ ...listener, url: `https://127.0.0.1:${proxy.port}/` }, SOON);
      await (await listener.request()).accept();
      await client.ready;
      proxy.filter = () => false;
      return client;
    },
  },
};

for (const [what, { expected, start }] of Object.entries(failures)) {
  test(`${what}: ${expected.phase} ${expected.code}`, async (context) => {
    const messages = published(context, 'open', 'close', 'error');
    const client = await start(context);
    const error = await client.closed.then(assert.fail, (reason) => reason);
    assert.deepEqual([error.name, error.source, error.streamErrorCode], ['WebTransportError', 'session', null]);
    // Of what is on the network the script hears nothing; of a session that it had, and of its own doing, it may.
    const isOpaque = !['session', 'abort'].includes(expected.phase);
    assert.equal(error.message === NOT_ESTABLISHED.message, isOpaque, error.message);
    assert.deepEqual(Object.keys(error), []);
    const errors = messages.filter(([name]) => name === 'error');
    const { url, ...cause } = causeOf(errors, client);
    assert.deepEqual(cause, expected);
    assert.equal(new URL(url).protocol, 'https:');
  });
}

test('the life of a server', async (context) => {
  const messages = published(context, ...SERVER);
  const { server, ...listener } = await startServer(context);
  const accepted = connect(listener);
  const first = await listener.request();
  const webtransport = await first.accept();
  await accepted.ready;
  const refused = connect(listener);
  const second = await listener.request();
  second.reject(403);
  await assert.rejects(refused.ready);
  const left = connect(listener);
  const third = await listener.request();
  const address = server.address();
  await Promise.all([server.close({ timeoutMs: 0 }), assert.rejects(left.ready)]);
  const seen = messages.map(([name, { error, ...message }]) => [name, message, error?.code, error?.status]);
  assert.deepEqual(seen, [
    ['server:listening', { server, address }, undefined, undefined],
    ['server:request', { server, request: first }, undefined, undefined],
    ['server:connection', { server, request: first, webtransport }, undefined, undefined],
    ['server:request', { server, request: second }, undefined, undefined],
    ['server:reject', { server, request: second }, 'ERR_REJECTED', 403],
    ['server:request', { server, request: third }, undefined, undefined],
    ['server:reject', { server, request: third }, 'ERR_SERVER_CLOSED', undefined],
    ['server:close', { server }, undefined, undefined],
  ]);
});

test('a hook that throws, a request whose time is up, a port that is taken', async (context) => {
  const warned = once(process, 'warning');
  const messages = published(context, 'server:reject', 'server:error');
  const faulty = await startServer(context, {
    onRequest: () => {
      throw new Error('a fault of the hook');
    },
  });
  await assert.rejects(connect(faulty).ready);
  await warned;
  assert.deepEqual([messages[0][1].error.code, messages[0][1].error.status], ['ERR_REQUEST_HOOK', 500]);
  const slow = await startServer(context, { requestTimeoutMs: 50 });
  await assert.rejects(connect(slow).ready);
  assert.equal(messages[1][1].error.code, 'ERR_REQUEST_GONE');
  const { cert, key } = createCertificate();
  const second = new WebTransportServer({ host: '127.0.0.1', port: slow.server.address().port, cert, key });
  const error = await second.ready.catch((reason) => reason);
  assert.deepEqual(messages[2], ['server:error', { server: second, error }]);
  await second.close();
});
