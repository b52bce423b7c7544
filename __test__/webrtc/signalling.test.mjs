// Offers, answers, rollbacks and candidates between two connections, without the network.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { named as name, negotiate, peers } from '../helpers/peers.mjs';

const { RTCError, RTCSessionDescription } = webwire;

test('an offer and an answer are plain dictionaries that scripts may change', async (t) => {
  const [a, b] = peers(t);
  a.createDataChannel('x');
  const offer = await a.createOffer();
  assert.equal(Object.getPrototypeOf(offer), Object.prototype);
  assert.deepEqual(Object.keys(offer), ['type', 'sdp']);
  offer.sdp += '';
  offer.extra = 1;
  await a.setLocalDescription(offer);
  await b.setRemoteDescription(offer);
  const answer = await b.createAnswer();
  assert.equal(answer.type, 'answer');
  await b.setLocalDescription(answer);
  await a.setRemoteDescription(answer);
  assert.equal(a.signalingState, 'stable');
  assert.equal(b.signalingState, 'stable');
});

test('a fresh connection has no descriptions and is new', (t) => {
  const [pc] = peers(t, 1);
  for (const slot of ['local', 'currentLocal', 'pendingLocal', 'remote', 'currentRemote', 'pendingRemote']) {
    assert.equal(pc[`${slot}Description`], null);
  }
  assert.equal(pc.canTrickleIceCandidates, null);
  assert.equal(pc.sctp, null);
  assert.deepEqual(
    [pc.signalingState, pc.iceGatheringState, pc.iceConnectionState, pc.connectionState],
    ['stable', 'new', 'new', 'new'],
  );
});

test('descriptions move from pending to current as the same objects', async (t) => {
  const [a, b] = peers(t);
  a.createDataChannel('x');
  await a.setLocalDescription();
  assert.ok(a.localDescription instanceof RTCSessionDescription);
  assert.equal(a.localDescription, a.pendingLocalDescription);
  assert.equal(a.currentLocalDescription, null);
  await b.setRemoteDescription(a.localDescription);
  const offer = b.pendingRemoteDescription;
  assert.equal(b.canTrickleIceCandidates, true);
  await b.setLocalDescription();
  assert.equal(b.currentRemoteDescription, offer);
  assert.equal(b.pendingRemoteDescription, null);
  assert.equal(b.remoteDescription, offer);
  assert.equal(b.localDescription.type, 'answer');
});

test('signalingstatechange comes after the slots and before the promise', async (t) => {
  const [pc] = peers(t, 1);
  const seen = [];
  pc.onsignalingstatechange = () => seen.push([pc.signalingState, pc.localDescription?.type]);
  const set = pc.setLocalDescription(await pc.createOffer());
  assert.equal(pc.signalingState, 'stable', 'not in the same task');
  await set.then(() => seen.push('resolved'));
  assert.deepEqual(seen, [['have-local-offer', 'offer'], 'resolved']);
});

test('a description that is not the one created last is refused', async (t) => {
  const [pc] = peers(t, 1);
  const { sdp } = await pc.createOffer();
  const changed = pc.setLocalDescription({ type: 'offer', sdp: sdp.replace('s=-', 's=x') });
  await assert.rejects(changed, name('InvalidModificationError'));
  assert.equal(pc.signalingState, 'stable');
});

test('the wrong state refuses, and before the text is looked at', async (t) => {
  const [pc] = peers(t, 1);
  await assert.rejects(pc.createAnswer(), name('InvalidStateError'));
  await assert.rejects(pc.setRemoteDescription({ type: 'answer', sdp: 'garbage' }), name('InvalidStateError'));
  await assert.rejects(pc.setLocalDescription({ type: 'rollback' }), name('InvalidStateError'));
  await assert.rejects(pc.setLocalDescription({ type: 'answer' }), name('InvalidStateError'));
  await assert.rejects(pc.setRemoteDescription({ type: 'bogus', sdp: '' }), TypeError);
  await assert.rejects(pc.setRemoteDescription(), TypeError);
  await pc.setRemoteDescription(await pc.createOffer());
  await assert.rejects(pc.createOffer(), name('InvalidStateError'));
  await assert.rejects(pc.setLocalDescription({ type: 'rollback' }), name('InvalidStateError'));
  await pc.setRemoteDescription({ type: 'rollback' });
  assert.equal(pc.signalingState, 'stable');
});

test('glare: an offer over our own rolls it back', async (t) => {
  const [a, b] = peers(t);
  a.createDataChannel('a');
  b.createDataChannel('b');
  await Promise.all([a.setLocalDescription(), b.setLocalDescription()]);
  const states = [];
  b.onsignalingstatechange = () => states.push(b.signalingState);
  await b.setRemoteDescription(a.localDescription);
  assert.deepEqual(states, ['stable', 'have-remote-offer']);
  await b.setLocalDescription();
  await a.setRemoteDescription(b.localDescription);
  assert.deepEqual([a.signalingState, b.signalingState], ['stable', 'stable']);
});

test('a rollback of the first offer takes the transport back', async (t) => {
  const [pc] = peers(t, 1);
  pc.createDataChannel('x');
  await pc.setLocalDescription();
  assert.ok(pc.sctp);
  assert.equal(pc.sctp.maxMessageSize, null);
  await pc.setLocalDescription({ type: 'rollback', sdp: 'ignored' });
  assert.equal(pc.localDescription, null);
  assert.equal(pc.sctp, null);
});

test('a provisional answer, then the final one', async (t) => {
  const [a, b] = peers(t);
  a.createDataChannel('x');
  await a.setLocalDescription();
  await b.setRemoteDescription(a.localDescription);
  const { sdp } = await b.createAnswer();
  await b.setLocalDescription({ type: 'pranswer', sdp });
  await a.setRemoteDescription({ type: 'pranswer', sdp });
  assert.deepEqual([a.signalingState, b.signalingState], ['have-remote-pranswer', 'have-local-pranswer']);
  await assert.rejects(a.setRemoteDescription({ type: 'rollback' }), name('InvalidStateError'));
  await b.setLocalDescription({ type: 'answer' });
  await a.setRemoteDescription({ type: 'answer', sdp: b.localDescription.sdp });
  assert.equal(a.localDescription.type, 'offer');
  assert.deepEqual([a.signalingState, b.signalingState], ['stable', 'stable']);
});

test('negotiationneeded comes once, in a task of its own, and only when the chain is empty', async (t) => {
  const [a, b] = peers(t);
  let count = 0;
  a.onnegotiationneeded = () => {
    assert.equal(a.signalingState, 'stable');
    count += 1;
  };
  a.createDataChannel('x');
  a.createDataChannel('y');
  assert.equal(count, 0);
  await once(a, 'negotiationneeded');
  await negotiate(a, b);
  await a.createOffer();
  assert.equal(count, 1);
  a.restartIce();
  a.restartIce();
  await once(a, 'negotiationneeded');
  const before = a.localDescription.sdp;
  await negotiate(a, b);
  const fragment = (sdp) => /a=ice-ufrag:(\S+)/.exec(sdp)[1];
  assert.notEqual(fragment(a.localDescription.sdp), fragment(before));
  await a.createOffer();
  assert.equal(count, 2);
});

test('an ICE restart asked of createOffer changes both ends, and nothing else does', async (t) => {
  const [a, b] = peers(t);
  a.createDataChannel('x');
  await negotiate(a, b);
  const fragments = () => [a, b].map((pc) => /a=ice-ufrag:(\S+)/.exec(pc.localDescription.sdp)[1]);
  const [a1, b1] = fragments();
  await negotiate(b, a);
  assert.deepEqual(fragments(), [a1, b1]);
  await a.setLocalDescription(await a.createOffer({ iceRestart: true }));
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription();
  await a.setRemoteDescription(b.localDescription);
  const [a2, b2] = fragments();
  assert.ok(a1 !== a2 && b1 !== b2);
});

test('operations run one after the other', async (t) => {
  const [a, b] = peers(t);
  a.createDataChannel('x');
  a.createOffer();
  await Promise.all([a.createOffer(), a.setLocalDescription({ type: 'offer' })]);
  await Promise.all([
    b.setRemoteDescription(a.localDescription),
    b.createAnswer(),
    b.addIceCandidate({ candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host', sdpMid: '0' }),
    b.setLocalDescription({ type: 'answer' }),
  ]);
  await a.setRemoteDescription(b.localDescription);
  assert.match(b.remoteDescription.sdp, /a=candidate:1 1 udp 1 192\.0\.2\.1 9 typ host\r\n/);
});

test('a closed connection refuses, and what was under way stays open', async (t) => {
  const [pc] = peers(t, 1);
  const pending = pc.createOffer().then(
    () => assert.fail('resolved'),
    () => assert.fail('rejected'),
  );
  pc.onsignalingstatechange = () => assert.fail('no event after close');
  pc.close();
  pc.close();
  assert.equal(pc.signalingState, 'closed');
  assert.equal(pc.connectionState, 'closed');
  assert.equal(pc.iceConnectionState, 'closed');
  for (const operation of [
    () => pc.createOffer(),
    () => pc.createAnswer(),
    () => pc.setLocalDescription(),
    () => pc.setRemoteDescription({ type: 'offer', sdp: '' }),
    () => pc.addIceCandidate({ candidate: '', sdpMid: '0' }),
  ]) {
    await assert.rejects(operation(), name('InvalidStateError'));
  }
  assert.throws(() => pc.createDataChannel('x'), name('InvalidStateError'));
  assert.throws(() => pc.setConfiguration({}), name('InvalidStateError'));
  pc.restartIce();
  await Promise.race([pending, new Promise((resolve) => setImmediate(() => setImmediate(resolve)))]);
});

test('legacy callbacks', async (t) => {
  const [pc] = peers(t, 1);
  const offer = await new Promise((resolve, reject) => {
    const returned = pc.createOffer(resolve, reject);
    returned.then((value) => assert.equal(value, undefined));
  });
  assert.equal(offer.type, 'offer');
  await new Promise((resolve, reject) => pc.setLocalDescription(offer, resolve, reject));
  const error = await new Promise((resolve, reject) => {
    pc.setRemoteDescription({ type: 'answer', sdp: 'x' }, reject, resolve);
  });
  assert.ok(error instanceof RTCError);
  assert.equal(error.sdpLineNumber, 1);
  await assert.rejects(pc.createAnswer(1, 2), TypeError);
});

test('candidates of the peer', async (t) => {
  const [a, b] = peers(t);
  const good = 'candidate:1 1 udp 1 192.0.2.1 9 typ host';
  await assert.rejects(b.addIceCandidate({ candidate: good, sdpMid: '0' }), name('InvalidStateError'));
  await assert.rejects(b.addIceCandidate(), name('InvalidStateError'));
  await assert.rejects(b.addIceCandidate({ candidate: good }), TypeError);
  a.createDataChannel('x');
  await a.setLocalDescription();
  await b.setRemoteDescription(a.localDescription);
  for (const [init, error] of [
    [{ candidate: good }, 'TypeError'],
    [{ candidate: good, sdpMid: null, sdpMLineIndex: null }, 'TypeError'],
    [{ candidate: good, sdpMid: 'x' }, 'OperationError'],
    [{ candidate: good, sdpMid: 'x', sdpMLineIndex: 0 }, 'OperationError'],
    [{ candidate: good, sdpMLineIndex: 99 }, 'OperationError'],
    [{ candidate: good, sdpMid: '0', usernameFragment: 'wrong' }, 'OperationError'],
    [{ candidate: 'garbage', sdpMid: '0' }, 'OperationError'],
    [{ candidate: good.replace(' 9 ', ' 65536 '), sdpMid: '0' }, 'OperationError'],
  ]) {
    await assert.rejects(b.addIceCandidate(init), name(error), JSON.stringify(init));
  }
  await b.addIceCandidate({ candidate: good, sdpMid: '0' });
  await b.addIceCandidate({ candidate: `a=${good.replace('192.0.2.1', '192.0.2.2')}`, sdpMLineIndex: 0 });
  for (const address of ['239.1.1.1', '255.255.255.255', '0.0.0.0', '::', 'name.local', 'example.org']) {
    await b.addIceCandidate({ candidate: good.replace('192.0.2.1', address), sdpMid: '0' });
  }
  for (const end of [null, undefined, {}, { candidate: '', sdpMid: '0' }, '']) {
    if (end === '') await assert.rejects(b.addIceCandidate(end), TypeError);
    else await b.addIceCandidate(end);
  }
  assert.equal(b.remoteDescription.sdp.match(/a=end-of-candidates/g).length, 1);
  for (let port = 1; port <= 1000; port += 1) {
    await b.addIceCandidate({ candidate: good.replace(' 9 ', ` ${port} `), sdpMid: '0' });
  }
  assert.equal(b.remoteDescription.sdp.match(/a=candidate:/g).length, 100);
});
