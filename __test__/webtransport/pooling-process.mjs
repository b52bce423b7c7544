// Three sessions on one connection, in a process of its own, that end somehow: pooling.test.mjs. Needs --expose-gc.

import { once } from 'node:events';
import { createRequire } from 'node:module';
import webwire from '../../index.js';
import { next, readAll, writeAll } from './pair.mjs';

const COUNT = 3;
const [{ url, cert, how }] = await once(process, 'message');
const connect = () => new webwire.WebTransport(url, { allowPooling: true, ca: cert });

async function open() {
  const sessions = Array.from({ length: COUNT }, connect);
  for (const session of sessions) await session.ready;
  return sessions;
}

/** Sends back what the server sends, until that closes the session: it has read all by then. */
async function echo(session) {
  const bytes = await readAll(await next(session.incomingUnidirectionalStreams));
  await writeAll(await session.createUnidirectionalStream(), bytes);
  await session.closed;
}

const hows = {
  /** All but the first are left to the collector. */
  async collected() {
    const { kept, references } = await open().then(([first, ...others]) => ({
      kept: first,
      references: others.map((session) => new WeakRef(session)),
    }));
    while (references.some((reference) => reference.deref() !== undefined)) {
      // In a turn of its own: what deref() has shown is kept to the end of the turn.
      await new Promise(setImmediate);
      globalThis.gc();
      await new Promise(setImmediate);
    }
    await echo(kept);
  },

  /** The process ends in the middle. */
  async exit() {
    for (const session of await open()) {
      const writer = (await session.createUnidirectionalStream()).getWriter();
      await writer.write(new Uint8Array(1024));
      writer.write(new Uint8Array(1024 * 1024)).catch(() => {});
    }
    process.exit(0);
  },

  /** Nothing keeps the process but the sessions; with the last it ends. */
  async closed() {
    await Promise.all((await open()).map(echo));
  },

  /** The task of the connection panics: all sessions fail, and the next one has another connection. */
  async panic() {
    const sessions = await open();
    const { hub } = createRequire(import.meta.url)('../../dist/hub.js');
    const ignore = () => {};
    // The first object has the number 1. It is told of a datagram by the connection's task.
    sessions[0].datagrams.readable.getReader().read().catch(ignore);
    // The stream asks the native half in a microtask: one that came before that would be taken, and nobody told of it.
    await new Promise(setImmediate);
    hub.native.panicAtNextEvent(1);
    const ends = sessions.map((session) => session.closed.catch((error) => error));
    process.send('ready');
    const sources = (await Promise.all(ends)).map((end) => end.source);
    const another = connect();
    await echo(another);
    process.send({ sources });
  },
};
await hows[how]();
process.disconnect();
