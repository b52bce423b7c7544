// A TCP proxy that damages what passes: it cuts the stream into pieces, delays some and resets some connections. What
// happens to a connection depends on the seed and on its number.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { Transform } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { numbers } from '../helpers/random.mjs';

const MOST_BYTES_A_PIECE = 7;
const MOST_DELAY_MS = 3;

/** Cuts the first bytes into pieces of 1 to 7 and the rest at random, with a short delay now and then. */
function pieces(random, small) {
  let cut = small;
  return new Transform({
    async transform(chunk, _encoding, done) {
      for (let at = 0; at < chunk.length; ) {
        const size = cut > 0 ? 1 + random(MOST_BYTES_A_PIECE) : 1 + random(chunk.length);
        cut -= size;
        if (random(200) === 0) await delay(random(MOST_DELAY_MS));
        this.push(chunk.subarray(at, at + size));
        at += size;
      }
      done();
    },
  });
}

/**
 * Listens; resolves to `{ port, counts, reset, close }`. `target()` is the port behind it; `small` bytes are cut small each
 * way. One connection of `resetOneOf` is reset on its way; none where that is not given. `reset` is the set of what those
 * have asked for: the targets of their requests.
 */
export async function tcpProxy({ target, seed, resetOneOf, small = 2_000 }) {
  const open = new Set();
  const reset = new Set();
  const counts = { connections: 0, resets: 0 };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const random = numbers(seed + counts.connections++);
    const far = connect({ port: target(), host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [near, far]) {
      open.add(socket);
      socket.setNoDelay(true);
      socket.on('close', () => open.delete(socket));
      // One end gone means both gone.
      socket.on('error', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(pieces(random, small)).pipe(far);
    far.pipe(pieces(random, small)).pipe(near);
    if (resetOneOf === undefined || random(resetOneOf) !== 0) return;
    let requested;
    near.once('data', (head) => {
      requested = /^GET (\S+) /.exec(head.toString('latin1'))?.[1];
    });
    let left = random(20_000);
    far.on('data', (chunk) => {
      left -= chunk.length;
      if (left > 0 || near.destroyed) return;
      counts.resets += 1;
      reset.add(requested);
      near.resetAndDestroy();
      far.resetAndDestroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    counts,
    reset,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
