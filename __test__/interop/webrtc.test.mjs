// RTCPeerConnection against Chromium and aiortc, in both roles.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { runPeerConnection, startBrowser } from './browser.mjs';
import { startPeer } from './counterpart.mjs';
import { answerDataChannel, offerDataChannel } from './exercises.mjs';
import { connectionFor } from './servers.mjs';
import { TIMEOUT_MS } from './timeout.mjs';

const CHANNEL = { label: 'chat', protocol: 'webwire-test', ordered: true };

test('our RTCPeerConnection offers to Chromium', { timeout: TIMEOUT_MS }, async (context) => {
  const page = await (await startBrowser(context)).open();
  const { signal, result } = await runPeerConnection(page, answerDataChannel);
  const [ours] = await Promise.all([offerDataChannel(connectionFor(context, webwire), signal), result]);
  assert.deepEqual(ours, { connectionState: 'connected' });
  assert.deepEqual(await result, CHANNEL);
});

test('Chromium offers to our RTCPeerConnection', { timeout: TIMEOUT_MS }, async (context) => {
  const page = await (await startBrowser(context)).open();
  const { signal, result } = await runPeerConnection(page, offerDataChannel);
  const [channel] = await Promise.all([answerDataChannel(connectionFor(context, webwire), signal), result]);
  assert.deepEqual(channel, CHANNEL);
  assert.deepEqual(await result, { connectionState: 'connected' });
});

test('our RTCPeerConnection offers to aiortc', { timeout: TIMEOUT_MS }, async (context) => {
  const peer = startPeer(context, 'peer_connection.py', 'answer');
  const ours = await offerDataChannel(connectionFor(context, webwire), peer.signal);
  assert.deepEqual(ours, { connectionState: 'connected' });
  const { label, protocol } = await peer.event('datachannel');
  assert.deepEqual({ label, protocol }, { label: 'chat', protocol: 'webwire-test' });
});

test('aiortc offers to our RTCPeerConnection', { timeout: TIMEOUT_MS }, async (context) => {
  const peer = startPeer(context, 'peer_connection.py', 'offer');
  const channel = await answerDataChannel(connectionFor(context, webwire), peer.signal);
  assert.deepEqual(channel, CHANNEL);
  await peer.event('done');
});
