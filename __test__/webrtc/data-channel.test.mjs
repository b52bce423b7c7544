// Data channels between two connections: opening, sending, closing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { messages, named, negotiate, openChannel, peers, trickle } from '../helpers/peers.mjs';

const { RTCDataChannel, RTCError, RTCErrorEvent, RTCPeerConnection } = webwire;

test('the channel that arrives is open and has what was asked for', async (t) => {
  const [a, b] = peers(t);
  trickle(a, b);
  const near = a.createDataChannel('lab\u00e9l', { ordered: false, maxRetransmits: 3, protocol: 'chat' });
  assert.deepEqual([near.id, near.readyState, near.binaryType], [null, 'connecting', 'arraybuffer']);
  const arrived = once(b, 'datachannel');
  const opened = once(near, 'open');
  await negotiate(a, b);
  const [{ channel: far }] = await arrived;
  assert.ok(far instanceof RTCDataChannel);
  assert.equal(far.readyState, 'open');
  await once(far, 'open');
  await opened;
  for (const channel of [near, far]) {
    const { label, ordered, maxRetransmits, maxPacketLifeTime, protocol, negotiated, id } = channel;
    assert.deepEqual(
      { label, ordered, maxRetransmits, maxPacketLifeTime, protocol, negotiated, id },
      {
        label: 'lab\u00e9l',
        ordered: false,
        maxRetransmits: 3,
        maxPacketLifeTime: null,
        protocol: 'chat',
        negotiated: false,
        // The offerer is the DTLS server, whose ids are odd.
        id: 1,
      },
    );
  }
});

for (const options of [{}, { negotiated: true, id: 7 }]) {
  const kind = options.negotiated ? 'a negotiated' : 'an announced';
  test(`${kind} channel carries text and binary in order`, async (t) => {
    const { near, far } = await openChannel(t, options);
    assert.deepEqual([near.negotiated, far.negotiated], [Boolean(options.negotiated), Boolean(options.negotiated)]);
    const whole = new Uint8Array([9, 1, 2, 3, 9]);
    const got = messages(far, 11);
    near.send('text');
    near.send('');
    near.send('\u4e16\ud800');
    near.send(new ArrayBuffer(0));
    near.send(whole.subarray(1, 4));
    near.send(new DataView(whole.buffer, 1, 2));
    near.send(new Blob([whole, 'x']));
    whole.fill(0);
    near.send('behind the blob');
    near.send(new Blob([]));
    near.send(new Uint16Array([1]));
    near.send('x'.repeat(100_000));
    const bytes = (data) => (typeof data === 'string' ? data : [...new Uint8Array(data)]);
    assert.deepEqual((await got).map(bytes), [
      'text',
      '',
      '\u4e16\ufffd',
      [],
      [1, 2, 3],
      [1, 2],
      [9, 1, 2, 3, 9, 120],
      'behind the blob',
      [],
      [1, 0],
      'x'.repeat(100_000),
    ]);
  });
}

test('binaryType chooses between ArrayBuffer and Blob; other values are ignored', async (t) => {
  const { near, far } = await openChannel(t);
  far.binaryType = 'blob';
  far.binaryType = 'nodebuffer';
  assert.equal(far.binaryType, 'blob');
  const got = messages(far, 2);
  near.send(new Uint8Array([1, 2]));
  near.send('text');
  const [blob, text] = await got;
  assert.ok(blob instanceof Blob);
  assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), new Uint8Array([1, 2]));
  assert.equal(text, 'text');
});

test('a message of the largest size arrives whole, a larger one throws', async (t) => {
  const { a, near, far } = await openChannel(t);
  const { maxMessageSize } = a.sctp;
  assert.equal(maxMessageSize, 262_144);
  assert.throws(() => near.send(new Uint8Array(maxMessageSize + 1)), TypeError);
  assert.throws(() => near.send('x'.repeat(maxMessageSize + 1)), TypeError);
  assert.throws(() => near.send(new Blob([new Uint8Array(maxMessageSize + 1)])), TypeError);
  assert.equal(near.bufferedAmount, 0);
  const sent = new Uint8Array(maxMessageSize).map((_, index) => index * 7);
  const got = messages(far, 1);
  near.send(sent);
  assert.deepEqual(new Uint8Array((await got)[0]), sent);
});

test('what cannot be sent throws and is not counted', async (t) => {
  const { near } = await openChannel(t);
  const detached = new ArrayBuffer(8);
  structuredClone(detached, { transfer: [detached] });
  near.send(detached);
  assert.throws(() => near.send(), TypeError);
  assert.throws(() => near.send(Symbol('no')), TypeError);
  assert.throws(() => near.send(new Uint8Array(new SharedArrayBuffer(8))), TypeError);
  const [fresh] = peers(t, 1);
  assert.throws(() => fresh.createDataChannel('x').send('early'), named('InvalidStateError'));
  near.close();
  assert.throws(() => near.send('late'), named('InvalidStateError'));
  assert.equal(near.bufferedAmount, 0);
});

test('bufferedAmount counts until the bytes have gone, and bufferedamountlow fires once a crossing', async (t) => {
  const { near, far } = await openChannel(t);
  near.bufferedAmountLowThreshold = 10_000;
  assert.equal(near.bufferedAmountLowThreshold, 10_000);
  assert.throws(() => {
    near.bufferedAmountLowThreshold = -1;
  }, TypeError);
  let lows = 0;
  near.onbufferedamountlow = () => {
    assert.ok(near.bufferedAmount <= 10_000);
    lows += 1;
  };
  const got = messages(far, 20);
  for (let i = 0; i < 20; i += 1) near.send(new Uint8Array(10_000));
  assert.equal(near.bufferedAmount, 200_000);
  assert.equal((await got).length, 20);
  while (near.bufferedAmount > 0) await new Promise(setImmediate);
  assert.equal(lows, 1);
});

test('a full buffer throws OperationError, and nothing that was taken is lost', async (t) => {
  const { near, far } = await openChannel(t);
  const chunk = new Uint8Array(262_144);
  let taken = 0;
  assert.throws(() => {
    for (;;) {
      near.send(chunk);
      taken += 1;
    }
  }, named('OperationError'));
  assert.equal(near.bufferedAmount, 16 * 1024 * 1024);
  assert.equal(taken, 64);
  assert.equal((await messages(far, taken)).length, taken);
});

test('close() sends what waits, then both ends close: closing and close there, close here', async (t) => {
  const { near, far } = await openChannel(t);
  const seen = [];
  let received = 0;
  for (const type of ['closing', 'close', 'error']) {
    near.addEventListener(type, () => seen.push(`near ${type} ${near.readyState}`));
    far.addEventListener(type, () => seen.push(`far ${type} ${far.readyState}`));
  }
  far.onmessage = () => {
    received += 1;
  };
  for (let i = 0; i < 10; i += 1) near.send(new Uint8Array(10_000));
  near.send(new Blob(['last']));
  near.close();
  near.close();
  assert.equal(near.readyState, 'closing');
  await Promise.all([once(near, 'close'), once(far, 'close')]);
  assert.equal(received, 11);
  assert.deepEqual(seen.sort(), ['far close closed', 'far closing closing', 'near close closed']);
  assert.throws(() => near.send('x'), named('InvalidStateError'));
});

test('a channel that is closed before it opens closes all the same', async (t) => {
  const [pc] = peers(t, 1);
  const early = pc.createDataChannel('early', { negotiated: true, id: 100 });
  early.onopen = () => assert.fail('opened');
  early.close();
  assert.equal(early.readyState, 'closing');
  await once(early, 'close');
  assert.equal(pc.createDataChannel('again', { negotiated: true, id: 100 }).id, 100);
});

test('closing the connection ends its channels without events here, with error and close there', async (t) => {
  const { a, near, far } = await openChannel(t);
  near.onclose = () => assert.fail('no event at the closing end');
  const seen = [];
  far.onclosing = () => seen.push('closing');
  far.onerror = (event) => {
    assert.ok(event instanceof RTCErrorEvent && event.error instanceof RTCError);
    seen.push(event.error.errorDetail);
  };
  const closed = once(far, 'close');
  a.close();
  assert.equal(near.readyState, 'closed');
  await closed;
  assert.equal(far.readyState, 'closed');
  assert.deepEqual(
    seen.filter((what) => what !== 'closing'),
    ['sctp-failure'],
  );
});

test('a hundred channels open, echo and close', async (t) => {
  const { a, b } = await openChannel(t);
  b.ondatachannel = ({ channel }) => {
    channel.onmessage = ({ data }) => channel.send(data);
  };
  const ids = new Set();
  await Promise.all(
    Array.from({ length: 100 }, async (_, number) => {
      const channel = a.createDataChannel(`${number}`);
      ids.add(channel.id);
      await once(channel, 'open');
      const got = messages(channel, 1);
      channel.send(`message ${number}`);
      assert.deepEqual(await got, [`message ${number}`]);
      channel.close();
      await once(channel, 'close');
    }),
  );
  assert.equal(ids.size, 100);
  assert.ok([...ids].every((id) => id % 2 === 1));
});

test('wrong arguments of createDataChannel', async (t) => {
  const [pc] = peers(t, 1);
  const long = 'x'.repeat(65_536);
  for (const [label, init] of [
    [long],
    ['\u00b5'.repeat(32_768)],
    ['', { protocol: long }],
    ['', { maxRetransmits: 0, maxPacketLifeTime: 0 }],
    ['', { maxRetransmits: -1 }],
    ['', { maxPacketLifeTime: 65_536 }],
    ['', { negotiated: true }],
    ['', { negotiated: true, id: 65_535 }],
    ['', { id: -1 }],
    ['', { id: 65_536 }],
    [Symbol('label')],
  ]) {
    assert.throws(() => pc.createDataChannel(label, init), TypeError, JSON.stringify(init));
  }
  assert.throws(() => pc.createDataChannel(), TypeError);
  assert.equal(pc.createDataChannel('', { id: 65_535 }).id, null);
  pc.createDataChannel('', { negotiated: true, id: 5 });
  assert.throws(() => pc.createDataChannel('', { negotiated: true, id: 5 }), named('OperationError'));
  assert.throws(() => new RTCDataChannel(), TypeError);
  assert.throws(() => RTCPeerConnection.prototype.createDataChannel.call({}, 'x'), TypeError);
});
