// webwire's measuring end of the WebTransport cases; their shapes are those in bench/peer/src/quic_client.rs.
// node webtransport.mjs CASE PORT HASH COUNT [PACE]
import { setTimeout as sleep } from 'node:timers/promises';
import { WebTransport } from 'webwire/webtransport';
import { cpuSeconds, endWithParent, percentile, residentBytes, tell } from './figures.mjs';

const WRITE = 64 * 1024;
const WARM_UP = 8;
const STREAMS_AT_ONCE = 32;
const ORDERED_STREAMS = 64;
const ESTABLISHED_AT_ONCE = 50;
const DATAGRAM = 1200;
const small = new Uint8Array(64).fill(69);

const [name, port, hash, countText, paceText] = process.argv.slice(2);
const options = { serverCertificateHashes: [{ algorithm: 'sha-256', value: Buffer.from(hash, 'hex') }] };
const connect = async () => {
  const session = new WebTransport(`https://127.0.0.1:${port}/bench`, options);
  await session.ready;
  return session;
};

const cases = {
  async establish(session, count) {
    const samples = [];
    const end = await begin(session);
    for (let index = 0; index < count; index++) {
      const start = performance.now();
      const one = await connect();
      samples.push(performance.now() - start);
      one.close();
      await one.closed;
    }
    const { cpu } = await end();
    return { samples, cpu: (cpu / count) * 1e3 };
  },

  /** `count` bytes on one stream, until the other end says that it has all. */
  async stream(session, count) {
    return await sendBytes(session, count, (bytes) => sendStream(session, bytes));
  },

  /** `count` bytes on streams that are all of a different order. */
  async ordered(session, count) {
    const each = (bytes) => Math.floor(bytes / ORDERED_STREAMS);
    return await sendBytes(session, count, async (bytes) => {
      const streams = Array.from({ length: ORDERED_STREAMS }, (_, sendOrder) =>
        sendStream(session, each(bytes), { sendOrder }),
      );
      const received = await Promise.all(streams);
      return received.reduce((sum, part) => sum + part, 0);
    });
  },

  /** 64 bytes there and back on one stream, one after the other. */
  async 'round-trip'(session, count) {
    const { readable, writable } = await session.createBidirectionalStream();
    const writer = writable.getWriter();
    const reader = readable.getReader();
    const samples = [];
    let end;
    for (let index = -count / WARM_UP; index < count; index++) {
      if (index === 0) end = await begin(session);
      const start = performance.now();
      writer.write(small).catch(() => {});
      for (let received = 0; received < small.byteLength; ) received += (await reader.read()).value.byteLength;
      if (index >= 0) samples.push((performance.now() - start) * 1e3);
    }
    const { cpu } = await end();
    return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99), cpu: (cpu / count) * 1e6 };
  },

  /** Streams of 64 bytes there and back, some at once. */
  async 'small-streams'(session, count) {
    const run = async (streams) => {
      const end = await begin(session);
      const each = Math.floor(streams / STREAMS_AT_ONCE);
      await Promise.all(
        Array.from({ length: STREAMS_AT_ONCE }, async () => {
          for (let index = 0; index < each; index++) {
            const answer = await exchange(session, small);
            if (answer.byteLength !== small.byteLength) throw new Error('an echo of the wrong length');
          }
        }),
      );
      const { seconds, cpu } = await end();
      return { rate: (each * STREAMS_AT_ONCE) / seconds, cpu: (cpu / (each * STREAMS_AT_ONCE)) * 1e6 };
    };
    await run(count / WARM_UP);
    return await run(count);
  },

  /** What a session that does nothing holds, of resident memory at each end. */
  async idle(session, count) {
    const sessions = [];
    const establish = async (more) => {
      for (let made = 0; made < more; made += ESTABLISHED_AT_ONCE) {
        sessions.push(...(await Promise.all(Array.from({ length: ESTABLISHED_AT_ONCE }, connect))));
      }
    };
    await establish(ESTABLISHED_AT_ONCE);
    const before = [residentKiB(), await otherResidentKiB(session)];
    await establish(count);
    const after = [residentKiB(), await otherResidentKiB(session)];
    // They live until here.
    const measured = sessions.length - ESTABLISHED_AT_ONCE;
    return { client: (after[0] - before[0]) / measured, server: (after[1] - before[1]) / measured };
  },

  /** What remains of a stream that was opened, used and dropped. */
  async kept(session, count) {
    const run = async (streams) => {
      for (let done = 0; done < streams; done += STREAMS_AT_ONCE) {
        await Promise.all(Array.from({ length: STREAMS_AT_ONCE }, () => exchange(session, small)));
      }
    };
    await run(count / WARM_UP);
    const before = [residentKiB(), await otherResidentKiB(session)];
    await run(count);
    const after = [residentKiB(), await otherResidentKiB(session)];
    return { client: (after[0] - before[0]) / count, server: (after[1] - before[1]) / count };
  },

  /** Datagrams as fast as the writer takes them. */
  async datagrams(session, count) {
    return await sendDatagrams(session, count, async (writer, datagram, datagrams) => {
      for (let index = 0; index < datagrams; index++) {
        await writer.ready;
        writer.write(datagram).catch(() => {});
      }
      await writer.ready;
    });
  },

  /** So many of them a second, in one go each time that a timer fires. */
  async 'datagrams-paced'(session, count) {
    const pace = Number(paceText);
    return await sendDatagrams(session, count, async (writer, datagram, datagrams) => {
      const start = performance.now();
      for (let index = 0; index < datagrams; ) {
        await sleep(1);
        const due = Math.min(datagrams, Math.floor(((performance.now() - start) / 1e3) * pace));
        for (; index < due; index++) {
          await writer.ready;
          writer.write(datagram).catch(() => {});
        }
      }
      await writer.ready;
    });
  },
};

/** Rate and cost of bytes that `send` sends; it says how many have come. */
async function sendBytes(session, count, send) {
  const run = async (bytes) => {
    const end = await begin(session);
    const received = await send(bytes);
    const { seconds, cpu } = await end();
    return { rate: received / 1e6 / seconds, cpu: cpu / (received / 1e9) };
  };
  await run(count / WARM_UP);
  return await run(count);
}

/** So many bytes on a new stream. Returns how many the other end says that it has. */
async function sendStream(session, bytes, options) {
  const block = new Uint8Array(WRITE).fill(83);
  const { readable, writable } = await session.createBidirectionalStream(options);
  const writer = writable.getWriter();
  for (let written = 0; written < bytes; written += WRITE) {
    await writer.ready;
    // Its failure is that of `close` too.
    writer.write(block).catch(() => {});
  }
  await writer.close();
  return Number(unsigned(await readAll(readable)));
}

/** What becomes of datagrams that `send` sends: how many a script has read at the other end when no more come. */
async function sendDatagrams(session, count, send) {
  const writer = session.datagrams.createWritable().getWriter();
  const datagram = new Uint8Array(DATAGRAM).fill(68);
  while (session.datagrams.maxDatagramSize < DATAGRAM) await exchange(session, small);
  const run = async (datagrams) => {
    const before = await otherDatagrams(session);
    const end = await begin(session);
    await send(writer, datagram, datagrams);
    let arrived = 0;
    for (let last = -1; arrived < datagrams && arrived > last; ) {
      last = arrived;
      arrived = (await otherDatagrams(session)) - before;
    }
    const { seconds, cpu } = await end();
    return { rate: arrived / seconds, cpu: (cpu / arrived) * 1e6, arrived: (arrived / datagrams) * 100 };
  };
  await run(count / WARM_UP);
  return await run(count);
}

/** Wall-clock and CPU time of both ends from now on. */
async function begin(session) {
  const other = await otherCpu(session);
  const own = cpuSeconds();
  const wall = performance.now();
  return async () => {
    const seconds = (performance.now() - wall) / 1e3;
    const used = cpuSeconds() - own;
    return { seconds, cpu: used + (await otherCpu(session)) - other };
  };
}

async function otherCpu(session) {
  return Number(unsigned(await exchange(session, Uint8Array.of(67)))) / 1e9;
}

/** How many datagrams a script has read at the other end. */
async function otherDatagrams(session) {
  return Number(unsigned(await exchange(session, Uint8Array.of(68))));
}

function residentKiB() {
  return residentBytes() / 1024;
}

async function otherResidentKiB(session) {
  return Number(unsigned(await exchange(session, Uint8Array.of(77)))) / 1024;
}

async function exchange(session, request) {
  const { readable, writable } = await session.createBidirectionalStream();
  const writer = writable.getWriter();
  // Their failures are those of reading.
  writer.write(request).catch(() => {});
  writer.close().catch(() => {});
  return await readAll(readable);
}

async function readAll(readable) {
  const reader = readable.getReader();
  let all = new Uint8Array();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return all;
    all = all.byteLength === 0 ? value : Buffer.concat([all, value]);
  }
}

function unsigned(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
}

endWithParent();
await tell(await cases[name](await connect(), Number(countText)));
process.exit(0);
