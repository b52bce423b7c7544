// The three transfers, in nothing but the browser's own APIs: Node runs this file with webwire's classes, and the page
// of `npm run demo -- --browser` holds this same text and runs it with the browser's.

const CHUNK = 64 * 1024;
const HIGH_WATER_MARK = 1 << 20;
const LOW_WATER_MARK = 256 << 10;
const PINGS = 400;
const WARM_UP_PINGS = 50;
const PING_BYTES = 64;
const RECEIVED = 'received';

/**
 * The transfers by name. Each connects, sends small messages there and back, fetches the file and sends it back.
 *
 * `classes` are `WebSocket`, `WebTransport` and `RTCPeerConnection`; `at` holds the addresses and options of the other
 * end; `file` is `{ size, sha256 }`; `progress(part)` hears how far it is, from 0 to 1.
 */
export const transfers = {
  async WebSocket({ WebSocket }, at, file, progress) {
    const start = performance.now();
    const socket = new WebSocket(`${at.websocket.url}/file`, at.websocket.options);
    await opened(socket);
    const connectMs = performance.now() - start;
    const figures = await overMessages(socket, file, progress);
    socket.close(1000);
    return { connectMs, ...figures };
  },

  async WebTransport({ WebTransport }, at, file, progress) {
    const start = performance.now();
    const session = new WebTransport(at.webtransport.url, {
      serverCertificateHashes: [{ algorithm: 'sha-256', value: Uint8Array.from(at.webtransport.hash) }],
    });
    await session.ready;
    const connectMs = performance.now() - start;
    const figures = await overStreams(session, file, progress);
    session.close();
    return { connectMs, ...figures };
  },

  async RTCDataChannel({ WebSocket, RTCPeerConnection }, at, file, progress) {
    const signalling = new WebSocket(`${at.websocket.url}/signal`, at.websocket.options);
    await opened(signalling);
    const start = performance.now();
    const connection = new RTCPeerConnection();
    signal(connection, signalling);
    const channel = connection.createDataChannel('file');
    await connection.setLocalDescription();
    signalling.send(JSON.stringify({ description: connection.localDescription }));
    await opened(channel);
    const connectMs = performance.now() - start;
    const figures = await overMessages(channel, file, progress);
    connection.close();
    signalling.close(1000);
    return { connectMs, ...figures };
  },
};

/** Carries candidates and the other end's description over a WebSocket; answers an offer. */
export function signal(connection, signalling) {
  const send = (message) => {
    if (signalling.readyState === signalling.OPEN) signalling.send(JSON.stringify(message));
  };
  connection.onicecandidate = ({ candidate }) => {
    if (candidate) send({ candidate });
  };
  const receive = async (data) => {
    const { description, candidate } = JSON.parse(data);
    if (candidate) {
      await connection.addIceCandidate(candidate);
      return;
    }
    await connection.setRemoteDescription(description);
    if (description.type === 'offer') {
      await connection.setLocalDescription();
      send({ description: connection.localDescription });
    }
  };
  signalling.onmessage = ({ data }) => {
    // What can't be signalled can't become a connection.
    receive(data).catch(() => connection.close());
  };
}

/** Resolves when a WebSocket or an RTCDataChannel is open. */
function opened(channel) {
  channel.binaryType = 'arraybuffer';
  return new Promise((resolve, reject) => {
    channel.onopen = resolve;
    channel.onerror = () => reject(new Error('the connection failed'));
    channel.onclose = () => reject(new Error('the connection was closed before it was open'));
  });
}

/** The transfer over a WebSocket or an RTCDataChannel, which a script uses in the same way. */
async function overMessages(channel, file, progress) {
  const inbox = new Inbox(channel);
  const ping = 'ping'.padEnd(PING_BYTES, '.');
  const roundTrip = await roundTrips(async () => {
    channel.send(ping);
    await inbox.next();
  });

  const fetched = new Collected(file.size);
  const down = stopwatch();
  channel.send('fetch');
  while (fetched.length < file.size) {
    fetched.add(await inbox.next());
    progress((fetched.length / file.size) * 0.5);
  }
  const downMs = down();
  const downVerified = (await sha256(fetched.bytes)) === file.sha256;

  const up = stopwatch();
  channel.send(`store ${file.size}`);
  const sent = sendAll(channel, fetched.bytes, (bytes) => progress(0.5 + (bytes / file.size) * 0.5));
  await Promise.race([sent, inbox.lost]);
  if ((await inbox.next()) !== RECEIVED) throw new Error('the other end did not say that it has the file');
  const upMs = up();
  const upVerified = (await inbox.next()) === file.sha256;
  progress(1);
  return { ...figures(file, downMs, upMs, roundTrip), verified: downVerified && upVerified };
}

/** The messages of a channel one after the other; what comes before it is asked for waits. */
class Inbox {
  #messages = [];
  #take;

  constructor(channel) {
    channel.onmessage = ({ data }) => {
      this.#messages.push(data);
      this.#take?.();
    };
    /** Rejects when the connection is lost. */
    this.lost = new Promise((_, reject) => {
      channel.onclose = channel.onerror = () => reject(new Error('the connection was lost'));
    });
    // Handled where it is raced; at the end nobody waits any more.
    this.lost.catch(() => {});
  }

  async next() {
    if (this.#messages.length === 0) {
      const arrived = new Promise((resolve) => {
        this.#take = resolve;
      });
      await Promise.race([arrived, this.lost]);
    }
    return this.#messages.shift();
  }
}

/** The other end of `overMessages`. */
export function serveMessages(channel, bytes) {
  let stored;
  const receive = async (data) => {
    if (typeof data !== 'string') {
      stored.add(data);
      if (stored.length < stored.bytes.length) return;
      channel.send(RECEIVED);
      channel.send(await sha256(stored.bytes));
    } else if (data.startsWith('ping')) channel.send(data);
    else if (data === 'fetch') await sendAll(channel, bytes);
    else if (data.startsWith('store ')) stored = new Collected(Number(data.slice('store '.length)));
  };
  channel.binaryType = 'arraybuffer';
  channel.onmessage = ({ data }) => {
    // A peer that doesn't keep to this, or goes away, ends its own connection.
    receive(data).catch(() => channel.close());
  };
}

/** Sends all bytes in messages, with no more than a MiB waiting. */
async function sendAll(channel, bytes, progress = () => {}) {
  for (let offset = 0; offset < bytes.length; offset += CHUNK) {
    if (channel.bufferedAmount > HIGH_WATER_MARK) await drained(channel);
    channel.send(bytes.subarray(offset, offset + CHUNK));
    progress(offset);
  }
}

async function drained(channel) {
  if ('onbufferedamountlow' in channel) {
    channel.bufferedAmountLowThreshold = LOW_WATER_MARK;
    await new Promise((resolve) => {
      channel.onbufferedamountlow = resolve;
      if (channel.bufferedAmount <= LOW_WATER_MARK) resolve();
    });
  } else {
    // A WebSocket has no event for it. One that is lost never drains.
    while (channel.bufferedAmount > LOW_WATER_MARK && channel.readyState === channel.OPEN) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

/** The transfer over streams: the first byte of each says what it is for. */
async function overStreams(session, file, progress) {
  const echo = await session.createBidirectionalStream();
  const pings = echo.writable.getWriter();
  const pongs = echo.readable.getReader();
  const ping = new TextEncoder().encode('E'.padEnd(PING_BYTES, '.'));
  const roundTrip = await roundTrips(async () => {
    const written = pings.write(ping);
    for (let received = 0; received < PING_BYTES; received += (await pongs.read()).value.length);
    await written;
  });
  await pings.close();

  const fetched = new Collected(file.size);
  const down = stopwatch();
  const fetching = await session.createBidirectionalStream();
  const request = fetching.writable.getWriter();
  await request.write(new TextEncoder().encode('F'));
  await request.close();
  await readAll(fetching.readable, (chunk) => {
    fetched.add(chunk);
    progress((fetched.length / file.size) * 0.5);
  });
  const downMs = down();
  const downVerified = (await sha256(fetched.bytes)) === file.sha256;

  const up = stopwatch();
  const storing = await session.createBidirectionalStream();
  const writer = storing.writable.getWriter();
  await writer.write(new TextEncoder().encode('S'));
  for (let offset = 0; offset < file.size; offset += CHUNK) {
    await writer.ready;
    // Its failure is that of `close` too.
    writer.write(fetched.bytes.subarray(offset, offset + CHUNK)).catch(() => {});
    progress(0.5 + (offset / file.size) * 0.5);
  }
  await writer.close();
  let upMs;
  let answer = '';
  await readAll(storing.readable, (chunk) => {
    upMs ??= up();
    answer += new TextDecoder().decode(chunk);
  });
  progress(1);
  return {
    ...figures(file, downMs, upMs, roundTrip),
    verified: downVerified && answer === RECEIVED + file.sha256,
  };
}

/** The other end of `overStreams`, for one stream. */
export async function serveStream({ readable, writable }, bytes) {
  const reader = readable.getReader();
  const writer = writable.getWriter();
  const { value: first } = await reader.read();
  const rest = async (take) => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      await take(value);
    }
  };
  switch (String.fromCharCode(first[0])) {
    case 'E':
      await writer.write(first);
      await rest((value) => writer.write(value));
      break;
    case 'F':
      for (let offset = 0; offset < bytes.length; offset += CHUNK) {
        await writer.ready;
        // Its failure is that of `close` too.
        writer.write(bytes.subarray(offset, offset + CHUNK)).catch(() => {});
      }
      break;
    case 'S': {
      const chunks = [first.subarray(1)];
      await rest((value) => {
        chunks.push(value);
      });
      await writer.write(new TextEncoder().encode(RECEIVED));
      const whole = new Uint8Array(await new Blob(chunks).arrayBuffer());
      await writer.write(new TextEncoder().encode(await sha256(whole)));
      break;
    }
  }
  await writer.close();
}

async function readAll(readable, take) {
  const reader = readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    take(value);
  }
}

/** Bytes that arrive piece by piece. */
class Collected {
  length = 0;

  constructor(size) {
    this.bytes = new Uint8Array(size);
  }

  add(data) {
    const piece = data instanceof Uint8Array ? data : new Uint8Array(data);
    this.bytes.set(piece, this.length);
    this.length += piece.length;
  }
}

/** The SHA-256 of bytes in hexadecimal digits. */
export async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function roundTrips(turn) {
  const samples = [];
  for (let index = -WARM_UP_PINGS; index < PINGS; index++) {
    const end = stopwatch();
    await turn();
    if (index >= 0) samples.push(end() * 1e3);
  }
  samples.sort((a, b) => a - b);
  return { p50Us: samples[PINGS >> 1], p99Us: samples[Math.ceil(PINGS * 0.99) - 1] };
}

function figures({ size }, downMs, upMs, roundTrip) {
  const rate = (ms) => size / 1e3 / Math.max(ms, 0.001);
  return { downMBs: rate(downMs), upMBs: rate(upMs), ...roundTrip };
}

function stopwatch() {
  const start = performance.now();
  return () => performance.now() - start;
}
