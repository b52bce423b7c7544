// The states of a connection and the order of its events, from its making to its end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { messages, named, negotiate, openChannel, peers, trickle } from '../helpers/peers.mjs';

const { RTCIceCandidate, RTCPeerConnection } = webwire;

test('gathering: states and candidates in the order of the standard', async (t) => {
  const [pc] = peers(t, 1);
  pc.createDataChannel('x');
  const seen = [];
  const done = new Promise((resolve) => {
    pc.onicegatheringstatechange = () => seen.push(pc.iceGatheringState);
    pc.onicecandidate = ({ candidate }) => {
      seen.push(candidate === null ? null : candidate.candidate && 'candidate');
      if (candidate === null) resolve();
      else assert.ok(candidate instanceof RTCIceCandidate && candidate.sdpMid === '0' && candidate.sdpMLineIndex === 0);
      // What was announced is in the description by then.
      if (candidate?.candidate) assert.ok(pc.localDescription.sdp.includes(`a=${candidate.candidate}\r\n`));
      if (candidate?.candidate === '') assert.equal(pc.iceGatheringState, 'gathering');
    };
  });
  await pc.setLocalDescription();
  assert.equal(pc.iceGatheringState, 'new');
  assert.doesNotMatch(pc.localDescription.sdp, /a=candidate/);
  await done;
  assert.equal(seen[0], 'gathering');
  assert.deepEqual(seen.slice(-3), ['', 'complete', null]);
  assert.ok(seen.slice(1, -3).length > 0 && seen.slice(1, -3).every((what) => what === 'candidate'));
  assert.match(pc.localDescription.sdp, /a=end-of-candidates\r\n/);
});

test('without trickling, whole descriptions connect', async (t) => {
  const [a, b] = peers(t);
  const gathered = (pc) =>
    new Promise((resolve) => {
      pc.onicecandidate = ({ candidate }) => candidate === null && resolve();
    });
  const channel = a.createDataChannel('x');
  const opened = once(channel, 'open');
  const [first, second] = [gathered(a), gathered(b)];
  await a.setLocalDescription();
  await first;
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription();
  await second;
  await a.setRemoteDescription(b.localDescription);
  await opened;
});

test('connection states, ICE before DTLS, each once', async (t) => {
  const [a, b] = peers(t);
  trickle(a, b);
  const seen = [];
  a.oniceconnectionstatechange = () => seen.push(`ice ${a.iceConnectionState}`);
  a.onconnectionstatechange = () => seen.push(a.connectionState);
  const channel = a.createDataChannel('x');
  const opened = once(channel, 'open');
  await negotiate(a, b);
  await opened;
  assert.deepEqual(seen, ['ice checking', 'connecting', 'ice connected', 'connected']);
  const { transport } = a.sctp;
  assert.deepEqual(
    [a.sctp.state, transport.state, transport.iceTransport.state, transport.iceTransport.role],
    ['connected', 'connected', 'connected', 'controlling'],
  );
  const pair = transport.iceTransport.getSelectedCandidatePair();
  assert.equal(pair.local.type, 'host');
  const [certificate] = transport.getRemoteCertificates();
  assert.ok(certificate instanceof ArrayBuffer && certificate.byteLength > 100);
  assert.equal(a.sctp, a.sctp);
});

test('an ICE restart keeps the channel and its data', async (t) => {
  const { a, b, near, far } = await openChannel(t);
  const { iceTransport } = a.sctp.transport;
  const before = iceTransport.getLocalParameters().usernameFragment;
  a.restartIce();
  await negotiate(a, b);
  assert.equal(a.sctp.transport.iceTransport, iceTransport);
  assert.notEqual(iceTransport.getLocalParameters().usernameFragment, before);
  const got = messages(far, 1);
  near.send('still here');
  assert.deepEqual(await got, ['still here']);
});

test('perfect negotiation connects from both sides at once', async (t) => {
  const [a, b] = peers(t);
  const talk = (pc, other, isPolite) => {
    const state = { makingOffer: false, ignoreOffer: false };
    pc.onnegotiationneeded = async () => {
      state.makingOffer = true;
      await pc.setLocalDescription();
      state.makingOffer = false;
      other.receive({ description: pc.localDescription.toJSON() });
    };
    pc.onicecandidate = ({ candidate }) => other.receive({ candidate });
    pc.receive = async ({ description, candidate }) => {
      if (description) {
        const collides = description.type === 'offer' && (state.makingOffer || pc.signalingState !== 'stable');
        state.ignoreOffer = !isPolite && collides;
        if (state.ignoreOffer) return;
        await pc.setRemoteDescription(description);
        if (description.type !== 'offer') return;
        await pc.setLocalDescription();
        other.receive({ description: pc.localDescription.toJSON() });
      } else {
        await pc.addIceCandidate(candidate).catch((error) => {
          if (!state.ignoreOffer) throw error;
        });
      }
    };
  };
  talk(a, b, true);
  talk(b, a, false);
  const channels = [a.createDataChannel('from a'), b.createDataChannel('from b')];
  const arrived = [once(b, 'datachannel'), once(a, 'datachannel')];
  await Promise.all(channels.map((channel) => once(channel, 'open')));
  const labels = (await Promise.all(arrived)).map(([{ channel }]) => channel.label);
  assert.deepEqual(labels, ['from a', 'from b']);
});

test('a certificate that the description does not name ends in failed, at both ends, with no message', async (t) => {
  for (const liar of ['offer', 'answer']) {
    const [a, b] = peers(t);
    trickle(a, b);
    a.createDataChannel('x').onopen = () => assert.fail('opened');
    for (const pc of [a, b]) pc.ondatachannel = () => assert.fail('a channel came');
    const lie = ({ type, sdp }) => ({
      type,
      sdp:
        type === liar
          ? sdp.replace(/(a=fingerprint:sha-256 )../, '$1' + 'AB').replace(/:..\r\na=setup/, ':CD\r\na=setup')
          : sdp,
    });
    const failed = new Promise((resolve) => {
      for (const pc of [a, b]) {
        pc.onconnectionstatechange = () => pc.connectionState === 'failed' && resolve(pc);
      }
    });
    await a.setLocalDescription();
    await b.setRemoteDescription(lie(a.localDescription));
    await b.setLocalDescription();
    await a.setRemoteDescription(lie(b.localDescription));
    const pc = await failed;
    assert.equal(pc.sctp.transport.state, 'failed');
    assert.equal(pc, liar === 'offer' ? b : a);
  }
});

test('the relay policy gathers no address of this machine', async (t) => {
  const [pc] = peers(t, 1, { iceTransportPolicy: 'relay' });
  pc.createDataChannel('x');
  const done = new Promise((resolve) => {
    pc.onicecandidate = ({ candidate }) => {
      if (candidate === null) resolve();
      else assert.equal(candidate.candidate, '');
    };
  });
  await pc.setLocalDescription();
  await done;
  assert.doesNotMatch(pc.localDescription.sdp, /a=candidate/);
});

test('configuration: conversions, refusals and what may change', async (t) => {
  const throws = (configuration, name) =>
    assert.throws(() => new RTCPeerConnection(configuration), named(name), JSON.stringify(configuration));
  for (const urls of [
    '',
    'relative',
    'http://example.org',
    'stun:',
    'stun://example.org',
    'stun:example.org:70000',
    'stun:example.org:x',
    'stun:example.org?transport=udp',
    'turn://example.org',
    [],
    ['stun:example.org', ''],
  ]) {
    throws({ iceServers: [{ urls, username: 'u', credential: 'c' }] }, 'SyntaxError');
  }
  throws({ iceServers: [{ urls: 'turn:example.org' }] }, 'InvalidAccessError');
  throws({ iceServers: [{ urls: 'turns:example.org', username: 'u' }] }, 'InvalidAccessError');
  for (const wrong of [
    1,
    { iceServers: null },
    { iceServers: [{}] },
    { iceCandidatePoolSize: -1 },
    { iceCandidatePoolSize: 256 },
    { bundlePolicy: 'some' },
    { iceTransportPolicy: 'none' },
    { rtcpMuxPolicy: 'negotiate' },
    { certificates: [{}] },
  ]) {
    throws(wrong, 'TypeError');
  }
  const expired = await RTCPeerConnection.generateCertificate({ name: 'ECDSA', namedCurve: 'P-256', expires: 0 });
  throws({ certificates: [expired] }, 'InvalidAccessError');
  const certificate = await RTCPeerConnection.generateCertificate({ name: 'ECDSA', namedCurve: 'P-256' });
  const servers = [{ urls: 'turn:[2001:db8::1]:3478?transport=tcp', username: 'u', credential: 'c' }];
  const [pc] = peers(t, 1, { certificates: [certificate], iceServers: servers, bundlePolicy: 'max-bundle' });
  assert.deepEqual(pc.getConfiguration(), {
    bundlePolicy: 'max-bundle',
    certificates: [certificate],
    iceCandidatePoolSize: 0,
    iceServers: [{ ...servers[0], urls: [servers[0].urls] }],
    iceTransportPolicy: 'all',
    rtcpMuxPolicy: 'require',
  });
  pc.setConfiguration({ bundlePolicy: 'max-bundle', iceCandidatePoolSize: 1 });
  assert.deepEqual(pc.getConfiguration().iceServers, []);
  assert.throws(() => pc.setConfiguration({}), named('InvalidModificationError'));
  assert.throws(
    () => pc.setConfiguration({ bundlePolicy: 'max-bundle', certificates: [expired] }),
    named('InvalidAccessError'),
  );
  pc.createDataChannel('x');
  const { sdp } = await pc.createOffer();
  const [{ algorithm, value }] = certificate.getFingerprints();
  assert.ok(sdp.includes(`a=fingerprint:${algorithm} ${value.toUpperCase()}\r\n`));
  assert.match(value, /^([\da-f]{2}:){31}[\da-f]{2}$/);
});

test('generateCertificate', async () => {
  const made = await RTCPeerConnection.generateCertificate({ name: 'ECDSA', namedCurve: 'P-256', expires: 60_000 });
  assert.ok(Math.abs(made.expires - Date.now() - 60_000) < 10_000);
  for (const [algorithm, check] of [
    ['RSA', named('NotSupportedError')],
    [{ name: 'ECDSA', namedCurve: 'P-521' }, named('NotSupportedError')],
    [{ name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024 }, named('NotSupportedError')],
    [{ name: 'ECDSA', namedCurve: 'P-256', expires: -1 }, TypeError],
    [{ name: 'ECDSA', namedCurve: 'P-256', expires: 'x' }, TypeError],
    [{}, TypeError],
  ]) {
    await assert.rejects(RTCPeerConnection.generateCertificate(algorithm), check);
  }
  await assert.rejects(RTCPeerConnection.generateCertificate(), TypeError);
});

test('close() in a handler, twice, and while everything is under way', async (t) => {
  const { a, b, near, far } = await openChannel(t);
  const done = new Promise((resolve) => {
    far.onmessage = () => {
      b.close();
      b.close();
      for (const type of ['connectionstatechange', 'iceconnectionstatechange', 'signalingstatechange']) {
        b.addEventListener(type, () => assert.fail(`${type} after close`));
      }
      resolve();
    };
  });
  for (let i = 0; i < 50; i += 1) near.send(new Uint8Array(100_000));
  await done;
  assert.deepEqual(
    [b.signalingState, b.connectionState, b.iceConnectionState, b.sctp.state, b.sctp.transport.state],
    ['closed', 'closed', 'closed', 'closed', 'closed'],
  );
  await once(near, 'close');
  const pending = a.createOffer();
  a.close();
  await Promise.race([pending.then(() => assert.fail('settled')), new Promise(setImmediate)]);
});
