// The clients of WebTransport's soak.

import { WebTransport } from '../../index.mjs';
import { givingUp } from '../webtransport/pair.mjs';
import { holdings, obey, tell } from './program.mjs';

/** What many handshakes at once take is not given back to the system. */
const HANDSHAKES_AT_ONCE = 8;
const STREAMS_AT_ONCE = 100;
const CHUNK = new Uint8Array(65_536);
const held = [];

async function connect({ url, hash }, path = '') {
  const session = new WebTransport(`${url}/${path}`, {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: Uint8Array.from(hash) }],
  });
  await session.ready;
  return session;
}

/** `count` times `work(index)`, so many at once. */
async function times(count, atOnce, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      next += 1;
      await work();
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
}

/** Opens idle sessions. */
async function hold({ at, count, path }) {
  await times(count, HANDSHAKES_AT_ONCE, async () => held.push(await connect(at, path)));
}

async function release() {
  const began = performance.now();
  await Promise.all(
    held.splice(0).map((session) => {
      session.close();
      return session.closed;
    }),
  );
  return { ms: Math.round(performance.now() - began) };
}

/** One byte there and back on a stream that `through` lets see open. Resolves to whether it came back as it was. */
async function echo(session, byte, through = async () => {}) {
  const { readable, writable } = await session.createBidirectionalStream({ waitUntilAvailable: true });
  const writer = writable.getWriter();
  await writer.write(Uint8Array.of(byte));
  await through();
  writer.close();
  const back = [];
  for await (const chunk of readable) back.push(...chunk);
  return back.length === 1 && back[0] === byte;
}

/** Streams one after the other, so many at once, of which nothing is kept. */
async function churn({ at, count }) {
  const session = await connect(at);
  let wrong = 0;
  let number = 0;
  await times(count, STREAMS_AT_ONCE, async () => {
    number += 1;
    if (!(await echo(session, number & 0xff))) wrong += 1;
  });
  session.close();
  await session.closed;
  return { wrong };
}

/** Sessions with so many streams each, all of them open at once. */
async function many({ at, sessions, streams }) {
  let wrong = 0;
  let waiting = sessions * streams;
  let open;
  const all = new Promise((resolve) => {
    open = resolve;
  });
  const through = () => {
    waiting -= 1;
    if (waiting === 0) open();
    return all;
  };
  const connected = await Promise.all(Array.from({ length: sessions }, () => connect(at)));
  await Promise.all(
    connected.flatMap((session, number) =>
      Array.from({ length: streams }, async (_, index) => {
        if (!(await echo(session, (number + index) & 0xff, through))) wrong += 1;
      }),
    ),
  );
  const began = performance.now();
  await Promise.all(
    connected.map((session) => {
      session.close();
      return session.closed;
    }),
  );
  return { wrong, ms: Math.round(performance.now() - began) };
}

/** So many bytes through one stream of a session that stays open: its end would take what is not read yet. */
async function pour({ at, bytes }) {
  const session = await connect(at);
  const began = performance.now();
  const writer = (await session.createUnidirectionalStream()).getWriter();
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    await writer.write(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK);
  }
  await writer.close();
  held.push(session);
  return { ms: Math.round(performance.now() - began) };
}

/** Streams of one kind that are opened to be given up, until that has ended so many sessions. */
async function flood({ at, kind, rounds }) {
  const before = process.cpuUsage();
  let count = 0;
  for (let round = 0; round < rounds; round += 1) {
    const session = await connect(at, 'unread');
    const thrownOut = session.closed.catch(() => {});
    try {
      for (; ; count += 1) await givingUp[kind](session);
    } catch {
      // The server has had enough of it.
    }
    await thrownOut;
  }
  const { user, system } = process.cpuUsage(before);
  return { count, cpuMs: Math.round((user + system) / 1000) };
}

obey({ hold, release, churn, many, pour, flood, holdings });
tell({});
