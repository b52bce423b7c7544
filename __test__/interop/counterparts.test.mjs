// The counterparts against each other, without webwire: when these pass, what fails elsewhere is ours.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { runPeerConnection, startBrowser } from './browser.mjs';
import { certificateFiles } from './certificate-files.mjs';
import { startPeer } from './counterpart.mjs';
import { answerDataChannel, exerciseWebSocket, offerDataChannel } from './exercises.mjs';
import { link } from './servers.mjs';
import { TIMEOUT_MS } from './timeout.mjs';
import { exerciseWebTransport } from './webtransport-exercises.mjs';

test('Chromium, WebSocket to ws', { timeout: TIMEOUT_MS }, async (context) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  context.after(() => server.close());
  await once(server, 'listening');
  server.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
  const page = await (await startBrowser(context)).open();
  const result = await page.evaluate(`(${exerciseWebSocket})(WebSocket, 'ws://127.0.0.1:${server.address().port}')`);
  assert.deepEqual(result, { code: 3333, reason: 'done', wasClean: true, protocol: 'webwire-test' });
});

test('aioquic, WebTransport to aioquic', { timeout: TIMEOUT_MS }, async (context) => {
  const { cert, key } = certificateFiles(context);
  const server = startPeer(context, 'web_transport_server.py', cert, key);
  const { port } = await server.event('listening');
  const client = startPeer(context, 'web_transport_client.py', port, cert, 'everything');
  assert.equal((await server.event('session')).path, 'everything');
  await client.event('done');
  assert.equal((await server.event('answer')).text, 'hello from the client');
  assert.deepEqual(await server.event('closed'), { event: 'closed', code: 7, reason: 'done' });
});

test('Chromium, WebTransport to aioquic', { timeout: TIMEOUT_MS }, async (context) => {
  const { cert, key, hash } = certificateFiles(context);
  const server = startPeer(context, 'web_transport_server.py', cert, key);
  const { port } = await server.event('listening');
  const page = await (await startBrowser(context)).open();
  const result =
    await page.evaluate(`(${exerciseWebTransport})(new WebTransport('https://127.0.0.1:${port}/everything', {
    protocols: ['webwire-one', 'webwire-two'],
    serverCertificateHashes: [{ algorithm: 'sha-256', value: Uint8Array.from([${[...hash]}]) }],
  }))`);
  assert.deepEqual(result, { protocol: 'webwire-two', closeCode: 7, reason: 'done' });
  assert.equal((await server.event('answer')).text, 'hello from the client');
  assert.deepEqual(await server.event('closed'), { event: 'closed', code: 7, reason: 'done' });
});

test('Chromium offers a data channel to aiortc', { timeout: TIMEOUT_MS }, async (context) => {
  const page = await (await startBrowser(context)).open();
  const { signal, result } = await runPeerConnection(page, offerDataChannel);
  const peer = startPeer(context, 'peer_connection.py', 'answer');
  link(peer.signal, signal);
  assert.deepEqual(await result, { connectionState: 'connected' });
  const { label, protocol } = await peer.event('datachannel');
  assert.deepEqual({ label, protocol }, { label: 'chat', protocol: 'webwire-test' });
});

test('aiortc offers a data channel to Chromium', { timeout: TIMEOUT_MS }, async (context) => {
  const page = await (await startBrowser(context)).open();
  const { signal, result } = await runPeerConnection(page, answerDataChannel);
  const peer = startPeer(context, 'peer_connection.py', 'offer');
  link(peer.signal, signal);
  await peer.event('done');
  assert.deepEqual(await result, { label: 'chat', protocol: 'webwire-test', ordered: true });
});
