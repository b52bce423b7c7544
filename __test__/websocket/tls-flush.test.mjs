// TLS takes bytes that the network does not: they must leave as soon as it does, also when nothing more is sent.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { createServer } from 'node:tls';
import { createCertificate } from '../helpers/certificate.mjs';
import { echo, listening, next, opening, readUntil, WebSocket } from '../helpers/websocket-ends.mjs';

const { cert, key } = createCertificate();

const STEP = 8 * 1024;
/** Of each frame: a client's, of two bytes of length. */
const HEAD = 8;
/** What TLS keeps at most of what the network does not take. */
const KEPT = 64 * 1024;

test('what TLS holds back leaves when the peer reads on', async (t) => {
  const peers = [];
  const server = createServer({ cert, key }, async (socket) => {
    socket.on('error', () => {});
    peers.push(socket);
    socket.write(opening(await readUntil(socket, '\r\n\r\n')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const other = new WebSocket((await listening(t, echo)).url);
  await next(other, 'open');
  t.after(() => {
    other.close();
    for (const peer of peers) peer.destroy();
    server.close();
  });

  /** Waits until all that was sent is taken. False: it is not in the time of fifty round trips of another connection. */
  const taken = async (socket) => {
    for (let count = 0; socket.bufferedAmount > 0; count += 1) {
      if (count === 50) return false;
      other.send('there and back');
      await next(other, 'message');
    }
    return true;
  };

  /** Sends messages of `STEP`, each when the one before is taken, to a peer that does not read; until one is not taken. */
  const fill = async (most) => {
    const socket = new WebSocket(`wss://127.0.0.1:${server.address().port}/`, { ca: cert });
    await next(socket, 'open');
    let sent = 0;
    while (sent < most) {
      socket.send(new Uint8Array(STEP));
      sent += STEP;
      if (!(await taken(socket))) break;
    }
    return { socket, sent };
  };

  const { sent: full } = await fill(Number.POSITIVE_INFINITY);
  // TLS then holds a part of that back, and nothing else waits. How large a part is the system's affair.
  for (let less = STEP; less <= KEPT; less += STEP) {
    const { socket, sent } = await fill(full - less);
    const peer = peers.at(-1);
    let left = (sent / STEP) * (STEP + HEAD);
    peer.on('data', (chunk) => {
      left -= chunk.length;
    });
    while (left > 0) await once(peer, 'data');
    assert.equal(left, 0);
    assert.equal(await taken(socket), true);
  }
});
