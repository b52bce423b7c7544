// Packets that no client of QUIC sends: the server ignores them, answers with little, and serves the others.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import { clientHello, crypto, initial, longHeader, parseLongHeader, transportParameters } from '../helpers/quic.mjs';
import { startUdpProxy } from '../helpers/udp-proxy.mjs';
import { connect, next, startServer } from './pair.mjs';
import { flush, halfHello, start, startSender } from './raw-client.mjs';

const { WebTransportError } = webwire;

const RETRY = 3;
const HANDSHAKES_UNPROVEN = 128;
/** Clients of a flood, each with connection ids of its own, and the addresses that they come from. */
const FLOOD = 20_000;
const FLOOD_ADDRESSES = 50;
/** How many packets may be on their way to the server: its socket holds more. */
const WINDOW = 64;

function isRetry(packet) {
  const { isLong, version, type } = parseLongHeader(packet);
  return isLong && version === 1 && type === RETRY;
}

async function isServed(listener, port = listener.server.address().port) {
  const client = connect({ ...listener, url: `https://127.0.0.1:${port}/` });
  await (await listener.request()).accept();
  await client.ready;
  client.close();
}

test('random datagrams of every length, and empty ones', async (context) => {
  const { listener, sender } = await start(context);
  for (let count = 0; count < 10_000; count += 1) {
    await sender.send(randomBytes(count % 1500));
    if (count % WINDOW === 0) {
      await sender.send(Buffer.alloc(0));
      await flush(sender);
    }
  }
  const answered = sender.received.reduce((sum, { length }) => sum + length, 0);
  assert.ok(answered <= 3 * sender.sent, `${answered} bytes for ${sender.sent}`);
  await isServed(listener);
});

test('an Initial cut at every length, with every bit of its header changed', async (context) => {
  const { listener, sender } = await start(context);
  const source = randomBytes(8);
  const sound = initial(crypto(0, clientHello(transportParameters(source))), { source });
  for (let length = 0; length < sound.length; length += 1) {
    await sender.send(sound.subarray(0, length));
    if (length % WINDOW === 0) await flush(sender);
  }
  for (let bit = 0; bit < 8 * 40; bit += 1) {
    const packet = Buffer.from(sound);
    packet[bit >> 3] ^= 1 << (bit & 7);
    await sender.send(packet);
    if (bit % WINDOW === 0) await flush(sender);
  }
  await isServed(listener);
});

const bytes = (...values) => Buffer.from(values);

/** What an Initial must not hold. */
const malformed = {
  'no frame': Buffer.alloc(0),
  'an unknown frame': bytes(0x3f),
  'a frame of another packet type': bytes(0x1c, 0, 0, 0),
  'a stream in an Initial': bytes(0x0a, 0, 1, 1),
  'a cut CRYPTO frame': bytes(6, 0, 0x7f, 0xff),
  'a CRYPTO frame of 2^62 bytes': bytes(6, 0, 0xff, 255, 255, 255, 255, 255, 255, 255),
  'a CRYPTO frame at 2^62': Buffer.concat([bytes(6, 0xff, 255, 255, 255, 255, 255, 255, 255, 1, 1)]),
  'a CRYPTO frame beyond the buffer': crypto(16_000_000, Buffer.alloc(100)),
  'no TLS': crypto(0, Buffer.alloc(100, 0xff)),
  'an ACK of what was not sent': bytes(2, 0x40, 100, 0, 0, 0),
  'an ACK with a range below 0': bytes(2, 0, 0, 1, 0, 10, 10),
  'an ACK of 2^62 ranges': bytes(2, 0, 0, 0xff, 255, 255, 255, 255, 255, 255, 255, 0),
};

for (const [name, parameters] of Object.entries({
  none: Buffer.alloc(0),
  'a cut one': bytes(15, 8, 1),
  'a length beyond the end': bytes(4, 0x7f, 0xff),
  'a cut integer': bytes(4, 2, 0xff, 0xff),
  'one twice': bytes(4, 1, 1, 4, 1, 1),
  'a connection id of 255 bytes': Buffer.concat([bytes(15, 0x40, 255), Buffer.alloc(255)]),
  'another connection id': bytes(15, 1, 1),
  'a UDP payload of 0': bytes(3, 1, 0),
  'an ACK delay exponent of 63': bytes(10, 1, 63),
  'a limit of 2^62 streams': bytes(8, 8, 0xff, 255, 255, 255, 255, 255, 255, 255),
  'a preferred address from a client': bytes(13, 1, 0),
  'a stateless reset token from a client': Buffer.concat([bytes(2, 16), Buffer.alloc(16)]),
  'a limit of 0 connection ids': bytes(14, 1, 0),
})) {
  malformed[`transport parameters: ${name}`] = crypto(0, clientHello(parameters));
}

for (const [what, frames] of Object.entries(malformed)) {
  test(`an Initial with ${what}`, async (context) => {
    const { listener, sender } = await start(context);
    for (let count = 0; count < 3; count += 1) await sender.send(initial(frames));
    await flush(sender);
    await isServed(listener);
  });
}

test('nothing of it makes the server write to its standard streams', async (context) => {
  const child = fork(new URL('other-process.mjs', import.meta.url), ['server'], { silent: true });
  context.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const [{ port, hash }] = await once(child, 'message');
  const sender = await startSender(context, port);
  for (const frames of Object.values(malformed)) {
    await sender.send(initial(frames));
    await sender.send(initial(frames).subarray(0, 700));
    await sender.send(randomBytes(1200));
    await flush(sender);
  }
  // Nor does a session, or a client that never goes on.
  const client = connect({ url: `https://127.0.0.1:${port}/`, hash: Uint8Array.from(hash) });
  await next(await next(client.incomingUnidirectionalStreams));
  client.close();
  await client.closed;
  await sender.send(halfHello());
  await flush(sender);
  const closed = once(child, 'close');
  child.kill();
  await closed;
  assert.equal(output, '');
});

test('an Initial in a datagram that is too small gets no answer', async (context) => {
  const { listener, sender } = await start(context);
  await sender.send(initial(crypto(0, clientHello(transportParameters(randomBytes(8))))).subarray(0, 1199));
  await flush(sender);
  assert.deepEqual(sender.received, []);
  await isServed(listener);
});

test('an unknown version is answered once, with ours and the ids turned round', async (context) => {
  const { sender } = await start(context);
  const [source, destination] = [randomBytes(8), randomBytes(20)];
  await sender.send(longHeader({ version: 0x1a2a3a4a, source, destination }));
  await flush(sender);
  assert.equal(sender.received.length, 1);
  const answer = parseLongHeader(sender.received[0]);
  assert.equal(answer.version, 0);
  assert.deepEqual([answer.destination, answer.source], [source, destination]);
  assert.ok(answer.rest.length % 4 === 0 && answer.rest.includes(Buffer.from([0, 0, 0, 1])));
  // Nor is version negotiation answered, or what is smaller than an answer.
  sender.received = [];
  await sender.send(longHeader({ version: 0 }));
  await sender.send(longHeader({ version: 0x1a2a3a4a, rest: Buffer.alloc(100) }));
  await flush(sender);
  assert.deepEqual(sender.received, []);
});

test('an address that never answers gets at most thrice what it sent', async (context) => {
  // A long chain, so that there is more to say than that.
  const { cert, key } = createCertificate();
  const others = Array.from({ length: 20 }, () => createCertificate().cert);
  const listener = await startServer(context, { cert: [cert, ...others].join(''), key });
  const proxy = await startUdpProxy(context, listener.server.address().port);
  let sent = 0;
  let got = 0;
  let tried = 0;
  proxy.filter = (direction, packet) => {
    if (direction === 'down') {
      got += packet.length;
      return false;
    }
    tried += 1;
    if (sent > 0) return false;
    sent += packet.length;
    return true;
  };
  const client = connect({ ...listener, url: `https://127.0.0.1:${proxy.port}/` });
  // It tries again and again, each time later, and so does the server.
  while (tried < 3) await once(proxy.events, 'up');
  client.close();
  await assert.rejects(client.ready, WebTransportError);
  assert.ok(got > 0 && got <= 3 * sent, `${got} bytes for ${sent}`);
});

test('a flood of clients that never go on: they are asked for their address, and a good client is served', async (context) => {
  // None of the first ones is over before the flood is.
  const { listener, sender } = await start(context, { handshakeTimeoutMs: 600_000 });
  const { port } = listener.server.address();
  const senders = [sender];
  while (senders.length < FLOOD_ADDRESSES) senders.push(await startSender(context, port));
  for (let count = 0; count < FLOOD; count += 1) {
    const one = senders[count % senders.length];
    await one.send(halfHello());
    if (count % 16 === 0) await flush(one);
  }
  for (const one of senders) await flush(one);
  const retries = senders.flatMap(({ received }) => received.filter(isRetry));
  assert.equal(retries.length, FLOOD - HANDSHAKES_UNPROVEN);
  assert.ok(retries.every(({ length }) => length < 300));
  const proxy = await startUdpProxy(context, port);
  let asked = 0;
  proxy.events.on('down', (packet) => {
    if (isRetry(packet)) asked += 1;
  });
  await isServed(listener, proxy.port);
  assert.equal(asked, 1);
});

test('packets of a session that has ended, sent again by its client and by others', async (context) => {
  const { listener, sender } = await start(context);
  const proxy = await startUdpProxy(context, listener.server.address().port);
  const capture = [];
  proxy.events.on('up', (packet) => capture.push(Buffer.from(packet)));
  await isServed(listener, proxy.port);
  assert.ok(capture.length > 3);
  for (let turn = 0; turn < 20; turn += 1) {
    for (const packet of capture) {
      await sender.send(packet);
      proxy.sendUp(packet);
    }
    await flush(sender);
  }
  await isServed(listener);
  await isServed(listener, proxy.port);
});

test('forged version negotiation and Retry packets do not harm a client', async (context) => {
  const listener = await startServer(context);
  const proxy = await startUdpProxy(context, listener.server.address().port);
  let forged = 0;
  proxy.filter = (direction, packet) => {
    if (direction === 'up' && forged === 0) {
      const { source, destination } = parseLongHeader(packet);
      const ids = { destination: source, source: destination };
      for (const answer of [
        // It names the version that the client has chosen: nobody would have sent it.
        longHeader({ ...ids, version: 0, rest: Buffer.from([0, 0, 0, 1, 10, 26, 42, 58]) }),
        // Of another connection.
        longHeader({ version: 0, rest: Buffer.from([10, 26, 42, 58]) }),
        // Their tags are wrong.
        longHeader({ ...ids, first: 0xf0, version: 1, rest: randomBytes(60) }),
        longHeader({ ...ids, first: 0xf0, version: 1, rest: randomBytes(16) }),
        longHeader({ ...ids, first: 0xf0, version: 1, rest: Buffer.alloc(0) }),
        // No Initial of the server.
        longHeader({ ...ids, first: 0xc0, version: 1, rest: randomBytes(1200) }),
        randomBytes(40),
        Buffer.alloc(0),
      ]) {
        forged += 1;
        proxy.sendDown(answer);
      }
    }
    return true;
  };
  await isServed(listener, proxy.port);
  assert.ok(forged > 0);
});
