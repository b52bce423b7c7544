// A server that answers a client's first packet in QUIC with what is no TLS 1.3: the session fails at once, and cleanly.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { crypto, initial, parseLongHeader } from '../helpers/quic.mjs';
import { hearCauses, NOT_ESTABLISHED } from './pair.mjs';

const { WebTransport } = webwire;

/** A handshake message of TLS. */
const message = (type, body) => Buffer.concat([Buffer.from([type, 0, body.length >> 8, body.length & 0xff]), body]);

/** A ServerHello of TLS 1.2: no extension says another version. */
const serverHello = message(
  2,
  Buffer.concat([Buffer.from([3, 3]), randomBytes(32), Buffer.from([0, 0xc0, 0x2f, 0, 0, 0])]),
);

for (const [what, frames, phase] of [
  ['no TLS', crypto(0, Buffer.alloc(100, 0xff)), 'connect'],
  ['a record of TLS over TCP', crypto(0, Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])), 'connect'],
  ['an alert', crypto(0, Buffer.from([21, 3, 3, 0, 2, 2, 40])), 'connect'],
  ['the ServerHello of TLS 1.2', crypto(0, serverHello), 'tls'],
  ['an empty ServerHello', crypto(0, message(2, Buffer.alloc(0))), 'tls'],
  ["a client's message", crypto(0, message(1, randomBytes(100))), 'tls'],
  ['a message of 16 MiB', crypto(0, Buffer.from([2, 0xff, 0xff, 0xff, 3, 3])), undefined],
  ['a CRYPTO frame beyond the buffer', crypto(16_000_000, Buffer.alloc(100)), 'connect'],
  ['an unknown frame', Buffer.from([0x3f]), 'connect'],
  ['a stream before the handshake', Buffer.from([0x0a, 1, 1, 1]), 'connect'],
]) {
  test(`a server that answers with ${what}`, async (context) => {
    const causes = hearCauses(context);
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    context.after(() => socket.close());
    const client = new WebTransport(`https://127.0.0.1:${socket.address().port}/`);
    const [packet, { port, address }] = await once(socket, 'message');
    socket.send(initial(frames, { answers: parseLongHeader(packet) }), port, address);
    // It waits for the rest of what may still become sound.
    if (phase === undefined) {
      await once(socket, 'message');
      client.close();
    }
    await assert.rejects(client.ready, phase === undefined ? { source: 'session' } : NOT_ESTABLISHED);
    await assert.rejects(client.closed, { source: 'session' });
    assert.equal(causes.get(client).phase, phase ?? 'abort');
    assert.notEqual(causes.get(client).code, 'ETIMEDOUT');
  });
}
