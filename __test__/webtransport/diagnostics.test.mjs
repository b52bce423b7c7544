// What the operator hears of sessions and servers: the channels `webwire:webtransport:…`.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import { connect, startServer } from './pair.mjs';

const { WebTransportServer } = webwire;

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

test('a session fails', async (context) => {
  const messages = published(context, 'open', 'close', 'error');
  const listener = await startServer(context, { onRequest: (request) => request.reject(403) });
  const client = connect(listener);
  const error = await client.ready.catch((reason) => reason);
  assert.deepEqual(messages, [['error', { webtransport: client, url: listener.url, error }]]);
  const blocked = connect({ url: 'https://127.0.0.1:6000/', hash: listener.hash });
  await assert.rejects(blocked.ready);
  assert.equal(messages.at(-1)[1].webtransport, blocked);
});

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
