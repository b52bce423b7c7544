// webwire against the packages that programs use today: ws and node-datachannel, from npm.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { cleanup } from 'node-datachannel';
import datachannel from 'node-datachannel/polyfill';
import * as ws from 'ws';
import webwire from '../../index.js';
import { signalPair } from '../helpers/signal.mjs';
import { answerDataChannel, exerciseWebSocket, offerDataChannel } from './exercises.mjs';
import { connectionFor, serveWebSocketEcho } from './servers.mjs';
import { TIMEOUT_MS } from './timeout.mjs';

// Its threads keep the process.
after(() => cleanup());

const CLOSED = { code: 3333, reason: 'done', wasClean: true, protocol: 'webwire-test' };
const CHANNEL = { label: 'chat', protocol: 'webwire-test', ordered: true };

test('our WebSocket to ws', { timeout: TIMEOUT_MS }, async (context) => {
  const server = new ws.WebSocketServer({ port: 0, host: '127.0.0.1' });
  context.after(() => server.close());
  await once(server, 'listening');
  server.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
  const url = `ws://127.0.0.1:${server.address().port}`;
  assert.deepEqual(await exerciseWebSocket(webwire.WebSocket, url), CLOSED);
});

test('ws to our WebSocketServer', { timeout: TIMEOUT_MS }, async (context) => {
  const port = await serveWebSocketEcho(context, webwire);
  assert.deepEqual(await exerciseWebSocket(ws.WebSocket, `ws://127.0.0.1:${port}`), CLOSED);
});

for (const [title, offerer, answerer] of [
  ['our RTCPeerConnection offers to node-datachannel', webwire, datachannel],
  ['node-datachannel offers to our RTCPeerConnection', datachannel, webwire],
]) {
  test(title, { timeout: TIMEOUT_MS }, async (context) => {
    const [near, far] = signalPair();
    const [{ connectionState }, channel] = await Promise.all([
      offerDataChannel(connectionFor(context, offerer), near),
      answerDataChannel(connectionFor(context, answerer), far),
    ]);
    assert.equal(connectionState, 'connected');
    assert.deepEqual(channel, CHANNEL);
  });
}
