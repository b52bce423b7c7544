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

/**
 * Keeps the offerer's addresses from the answerer until the offerer has the answer. libdatachannel checks a DTLS client's
 * certificate against the answer's fingerprint as soon as it comes, and refuses it ("unknown CA") where the answer is
 * still under way: two of its own connections fail so now and then, and we are faster than they are.
 */
function withholdCandidates(connection, signal) {
  const held = [];
  connection.addEventListener('signalingstatechange', () => {
    if (connection.signalingState === 'stable') for (const message of held.splice(0)) signal.send(message);
  });
  return {
    send({ description, candidate }) {
      if (candidate && connection.signalingState !== 'stable') held.push({ candidate });
      else if (candidate) signal.send({ candidate });
      else {
        const sdp = description.sdp.replace(/^a=(candidate:.*|end-of-candidates)\r\n/gm, (_, attribute) => {
          if (attribute.startsWith('candidate:')) held.push({ candidate: { candidate: attribute, sdpMLineIndex: 0 } });
          return '';
        });
        signal.send({ description: { ...description, sdp } });
      }
    },
    set onmessage(handler) {
      signal.onmessage = handler;
    },
  };
}

test('our RTCPeerConnection offers to node-datachannel', { timeout: TIMEOUT_MS }, async (context) => {
  const [near, far] = signalPair();
  const [{ connectionState }, channel] = await Promise.all([
    offerDataChannel(connectionFor(context, webwire), near),
    answerDataChannel(connectionFor(context, datachannel), far),
  ]);
  assert.equal(connectionState, 'connected');
  assert.deepEqual(channel, CHANNEL);
});

test('node-datachannel offers to our RTCPeerConnection', { timeout: TIMEOUT_MS }, async (context) => {
  const [near, far] = signalPair();
  const offerer = connectionFor(context, datachannel);
  const [{ connectionState }, channel] = await Promise.all([
    offerDataChannel(offerer, withholdCandidates(offerer, near)),
    answerDataChannel(connectionFor(context, webwire), far),
  ]);
  assert.equal(connectionState, 'connected');
  assert.deepEqual(channel, CHANNEL);
});
