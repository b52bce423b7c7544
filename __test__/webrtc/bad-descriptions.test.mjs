// Descriptions that a bad or broken peer sends: each is refused with the right exception, and nothing changes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { named, negotiate, peers } from '../helpers/peers.mjs';

const { RTCError } = webwire;

const FINGERPRINT = /a=fingerprint:sha-256 \S+\r\n/;

/** An offer of a real connection, as text. */
async function offerOf(pc) {
  pc.createDataChannel('x');
  return (await pc.createOffer()).sdp;
}

/** Refused, with every state and slot as before. */
async function refused(pc, description, check, what) {
  const before = [pc.signalingState, pc.localDescription?.type, pc.remoteDescription, pc.sctp];
  await assert.rejects(pc.setRemoteDescription(description), check, what);
  assert.deepEqual([pc.signalingState, pc.localDescription?.type, pc.remoteDescription, pc.sctp], before, what);
}

test('bad syntax is an RTCError that knows its line', async (t) => {
  const [pc, other] = peers(t);
  const good = await offerOf(other);
  const lines = good.split('\r\n');
  const at = (start) => lines.findIndex((line) => line.startsWith(start));
  const withLine = (start, text) => lines.with(at(start), text).join('\r\n');
  for (const [sdp, line] of [
    ['', 1],
    ['v=0', 1],
    ['Invalid SDP', 1],
    ['\0\x01\x02\xff', 1],
    [good.replaceAll('\r\n', '\r'), 1],
    [good.replace('s=-', 's=\0'), 3],
    [withLine('t=', 'm=x'), 4],
    [withLine('a=ice-ufrag', 'a=ice-ufrag:abc'), at('a=ice-ufrag') + 1],
    [withLine('a=ice-ufrag', 'a=ice-ufrag:ab%cd'), at('a=ice-ufrag') + 1],
    [withLine('a=ice-pwd', `a=ice-pwd:${'x'.repeat(21)}`), at('a=ice-pwd') + 1],
    [withLine('a=ice-pwd', `a=ice-pwd:${'x'.repeat(257)}`), at('a=ice-pwd') + 1],
    [withLine('a=fingerprint', 'a=fingerprint:sha-256 AA:BB'), at('a=fingerprint') + 1],
    [withLine('a=fingerprint', 'a=fingerprint:sha-256 nothex'), at('a=fingerprint') + 1],
    [withLine('a=setup', 'a=setup:maybe'), at('a=setup') + 1],
    [withLine('a=sctp-port', 'a=sctp-port:70000'), at('a=sctp-port') + 1],
    [withLine('m=', 'm=application 99999 UDP/DTLS/SCTP webrtc-datachannel'), at('m=') + 1],
    [`${good}a=${'x'.repeat(1 << 20)}`.slice(0, 1 << 20), lines.length],
  ]) {
    const check = (error) => {
      assert.ok(error instanceof RTCError && error instanceof DOMException, error.stack);
      assert.deepEqual([error.name, error.errorDetail], ['OperationError', 'sdp-syntax-error']);
      assert.equal(error.sdpLineNumber, line, error.message);
      return true;
    };
    await refused(pc, { type: 'offer', sdp }, check, sdp.slice(0, 300));
  }
  await pc.setRemoteDescription({ type: 'offer', sdp: good.replaceAll('\r\n', '\n') });
});

test('too large a description is an OperationError', async (t) => {
  const [pc, other] = peers(t);
  const good = await offerOf(other);
  for (const sdp of [
    good + 'a=x\r\n'.repeat(1_000_000),
    `${good}a=${'x'.repeat(10 << 20)}\r\n`,
    good + 'm=audio 0 UDP/TLS/RTP/SAVPF 0\r\n'.repeat(1001),
  ]) {
    await refused(pc, { type: 'offer', sdp }, named('OperationError'));
  }
});

test('an offer with invalid content is an InvalidAccessError', async (t) => {
  const [pc, other] = peers(t);
  const good = await offerOf(other);
  const hash = (name, bytes) => `a=fingerprint:${name} ${Array(bytes).fill('AA').join(':')}\r\n`;
  for (const [what, sdp] of [
    ['no fingerprint', good.replace(FINGERPRINT, '')],
    ['only md5', good.replace(FINGERPRINT, hash('md5', 16))],
    ['only sha-1', good.replace(FINGERPRINT, hash('sha-1', 20))],
    ['no ufrag', good.replace(/a=ice-ufrag:.*\r\n/, '')],
    ['no password', good.replace(/a=ice-pwd:.*\r\n/, '')],
    ['holdconn', good.replace('actpass', 'holdconn')],
    ['a bundle of unknown mids', good.replace('BUNDLE 0', 'BUNDLE 0 9')],
    ['a mid bundled twice', good.replace('BUNDLE 0', 'BUNDLE 0 0')],
    ['two sections with a mid', good + good.slice(good.indexOf('m='))],
  ]) {
    await refused(pc, { type: 'offer', sdp }, named('InvalidAccessError'), what);
  }
});

test('an answer that does not fit its offer is refused, and the right one still taken', async (t) => {
  const [pc, other] = peers(t);
  pc.createDataChannel('x');
  await pc.setLocalDescription();
  await other.setRemoteDescription(pc.localDescription);
  const { sdp: good } = await other.createAnswer();
  const section = good.slice(good.indexOf('m='));
  for (const [what, sdp] of [
    ['actpass', good.replace('setup:active', 'setup:actpass')],
    ['holdconn', good.replace('setup:active', 'setup:holdconn')],
    ['no fingerprint', good.replace(FINGERPRINT, '')],
    ['no section', good.replace(section, '').replace(/a=group.*\r\n/, '')],
    ['one section more', good + section.replace('a=mid:0', 'a=mid:1')],
    ['another mid', good.replace('a=mid:0', 'a=mid:1').replace('BUNDLE 0', 'BUNDLE 1')],
    ['another kind', good.replace('m=application', 'm=text')],
  ]) {
    await refused(pc, { type: 'answer', sdp }, named('InvalidAccessError'), what);
  }
  await pc.setRemoteDescription({ type: 'answer', sdp: good });
});

test('credentials change with an ICE restart and at no other time', async (t) => {
  const [a, b] = peers(t);
  a.createDataChannel('x');
  await negotiate(a, b);
  const fragment = (sdp) => /a=ice-ufrag:(\S+)/.exec(sdp)[1];
  await a.setLocalDescription();
  await b.setRemoteDescription(a.localDescription);
  const { sdp } = await b.createAnswer();
  const changed = sdp.replace(fragment(sdp), 'changed');
  await refused(a, { type: 'answer', sdp: changed }, named('InvalidAccessError'));
  await a.setRemoteDescription({ type: 'answer', sdp });
});

test('an answer with another certificate than before is refused', async (t) => {
  const [a, b] = peers(t);
  a.createDataChannel('x');
  await negotiate(a, b);
  await a.setLocalDescription();
  await b.setRemoteDescription(a.localDescription);
  const { sdp } = await b.createAnswer();
  const other = sdp.replace(FINGERPRINT, `a=fingerprint:sha-256 ${Array(32).fill('AA').join(':')}\r\n`);
  await refused(a, { type: 'answer', sdp: other }, named('OperationError'));
});

test('media is refused section by section, and data goes on beside it', async (t) => {
  const [pc, other] = peers(t);
  const good = await offerOf(other);
  const transport = good
    .split('\r\n')
    .filter((line) => /^a=(ice-ufrag|ice-pwd|fingerprint|setup)/.test(line))
    .join('\r\n');
  const media = (kind, mid, format) =>
    `m=${kind} 9 ${format}\r\nc=IN IP4 0.0.0.0\r\na=mid:${mid}\r\na=rtcp-mux\r\na=sendrecv\r\n${transport}\r\n`;
  const audio = media('audio', 'a', 'UDP/TLS/RTP/SAVPF 111');
  const text = media('text', 't', 'TCP/MSRP *');
  const sdp = good.replace('BUNDLE 0', 'BUNDLE a 0').replace('m=application', `${audio}m=application`) + text;
  await pc.setRemoteDescription({ type: 'offer', sdp });
  await pc.setLocalDescription();
  const answer = pc.localDescription.sdp;
  assert.deepEqual(
    answer.match(/^m=.*$/gm).map((line) => line.split(' ', 2).join(' ')),
    ['m=audio 0', 'm=application 9', 'm=text 0'],
  );
  assert.match(answer, /a=group:BUNDLE 0\r\n/);
  const [again, unbundled] = peers(t);
  await again.setRemoteDescription({ type: 'offer', sdp });
  await again.setLocalDescription();
  await refused(
    unbundled,
    { type: 'offer', sdp: sdp.replace('a=rtcp-mux\r\n', '') },
    named('InvalidAccessError'),
    'RTP without rtcp-mux',
  );
});
