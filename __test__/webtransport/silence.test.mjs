// Servers that never answer: a session that is not there in time fails. Each waits for that time, all at once.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { longHeader, parseLongHeader } from '../helpers/quic.mjs';
import { startUdpProxy } from '../helpers/udp-proxy.mjs';
import { connect, hearCauses, NOT_ESTABLISHED, startServer } from './pair.mjs';

const { WebTransport } = webwire;

const silent = {
  async 'a port where nobody speaks'(context) {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    context.after(() => socket.close());
    return new WebTransport(`https://127.0.0.1:${socket.address().port}/`);
  },
  async 'a port where nobody listens'() {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    socket.close();
    await once(socket, 'close');
    return new WebTransport(`https://127.0.0.1:${port}/`);
  },
  async 'a server that answers with what is no QUIC'(context) {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    context.after(() => socket.close());
    socket.on('message', (packet, { port, address }) => {
      const { source, destination } = parseLongHeader(packet);
      const ids = { destination: source, source: destination, version: 1 };
      for (const answer of [
        Buffer.alloc(0),
        Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
        randomBytes(1200),
        packet,
        // A short header, and packets that can't be decrypted.
        Buffer.concat([Buffer.from([0x40]), source, randomBytes(30)]),
        longHeader({ ...ids, rest: randomBytes(1200) }),
        longHeader({ ...ids, first: 0xe0, rest: randomBytes(1200) }),
        longHeader({ ...ids, version: 0x0a0a0a0a }),
      ]) {
        socket.send(answer, port, address);
      }
    });
    return new WebTransport(`https://127.0.0.1:${socket.address().port}/`);
  },
  async 'a server that falls silent in the handshake'(context) {
    const listener = await startServer(context);
    const proxy = await startUdpProxy(context, listener.server.address().port);
    proxy.filter = (direction) => direction === 'up';
    return connect({ ...listener, url: `https://127.0.0.1:${proxy.port}/` });
  },
  async 'a server that never answers the request'(context) {
    const listener = await startServer(context);
    const client = connect(listener);
    const request = await listener.request();
    context.after(() => request.signal.aborted || request.reject(503));
    return client;
  },
};

/** What was under way when the time was up. */
const PHASES = {
  'a port where nobody speaks': 'connect',
  'a port where nobody listens': 'connect',
  'a server that answers with what is no QUIC': 'connect',
  'a server that falls silent in the handshake': 'connect',
  'a server that never answers the request': 'request',
};

test('servers that never answer', { concurrency: true }, async (context) => {
  const causes = hearCauses(context);
  const tests = Object.entries(silent).map(([what, start]) =>
    context.test(`${what}: ready and closed are rejected`, { timeout: 120_000 }, async (inner) => {
      const client = await start(inner);
      const waiting = client.createBidirectionalStream();
      await Promise.all([
        assert.rejects(client.ready, NOT_ESTABLISHED),
        assert.rejects(client.closed, NOT_ESTABLISHED),
        assert.rejects(waiting, { name: 'InvalidStateError' }),
      ]);
      const { phase, code } = causes.get(client);
      assert.deepEqual([phase, code], [PHASES[what], 'ETIMEDOUT']);
    }),
  );
  await Promise.all(tests);
});
