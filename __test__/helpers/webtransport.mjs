// Both ends of a WebTransport session, with one bidirectional stream. See apis.mjs.

import { createCertificate } from './certificate.mjs';

const CHUNK = new Uint8Array(16_384);

/** Reads what comes until the stream ends in whatever way; calls `seen` for each chunk. */
async function readAll(readable, seen) {
  const reader = readable.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      seen(value);
    }
  } catch {
    // The session's end errors its streams; `closed` says why.
  }
}

/** Writes for ever, as fast as the stream takes it. */
async function writeAll(writable, written) {
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  try {
    for (;;) {
      await writer.write(CHUNK);
      written();
    }
  } catch {
    // As in readAll.
  }
}

async function behave(session, mode) {
  if (mode === 'echo') {
    const { readable, writable } = session.datagrams;
    readable.pipeTo(writable).catch(() => {});
  }
  const reader = session.incomingBidirectionalStreams.getReader();
  for (;;) {
    // The session's end ends or errors the stream of streams.
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) return;
    const { readable, writable } = value;
    if (mode === 'echo') readable.pipeTo(writable).catch(() => {});
    else if (mode === 'sink') readAll(readable, () => {});
    else writeAll(writable, () => {});
  }
}

export const webtransport = {
  provoked: 1,

  /** Listens; the path of a request is what the session then does. */
  async serve({ WebTransportServer }) {
    const { cert, key, hash } = createCertificate();
    const server = new WebTransportServer({ host: '127.0.0.1', port: 0, cert, key });
    await server.ready;
    const run = async () => {
      for await (const request of server.incomingRequests) {
        // A client that is gone by now is nobody's loss.
        const session = await request.accept().catch(() => undefined);
        if (session === undefined) continue;
        session.closed.catch(() => {});
        behave(session, new URL(request.url, 'https://localhost').pathname.slice(1));
      }
    };
    const ended = run();
    return {
      object: server,
      at: { url: `https://127.0.0.1:${server.address().port}`, hash: new Uint8Array(hash) },
      answer() {},
      async close() {
        await server.close({ timeoutMs: 0 });
        await ended;
      },
    };
  },

  connect({ WebTransport }, { url, hash }, mode) {
    const session = new WebTransport(`${url}/${mode}`, {
      serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
    });
    return {
      object: session,
      opened: session.ready,
      closed: () =>
        session.closed.then(
          () => {},
          () => {},
        ),
      async echo(data) {
        const { readable, writable } = await session.createBidirectionalStream();
        const writer = writable.getWriter();
        await writer.write(new TextEncoder().encode(data));
        await writer.close();
        let text = '';
        const decoder = new TextDecoder();
        await readAll(readable, (chunk) => {
          text += decoder.decode(chunk, { stream: true });
        });
        return text;
      },
      async pour() {
        const { writable } = await session.createBidirectionalStream();
        await new Promise((resolve) => writeAll(writable, resolve));
      },
      async drink() {
        const { readable, writable } = await session.createBidirectionalStream();
        const writer = writable.getWriter();
        // The peer hears of a stream with its first byte.
        await writer.write(new Uint8Array(1));
        await new Promise((resolve) => readAll(readable, resolve));
      },
      provoke() {
        const { readable, writable } = session.datagrams;
        const ignore = () => {};
        readable.getReader().read().catch(ignore);
        writable.getWriter().write(new Uint8Array(1)).catch(ignore);
      },
      close: () => session.close(),
      forget() {},
    };
  },
};
