// The measured end of the WebSocket cases: one implementation, one case, fresh every time.
// node websocket.mjs ADAPTER PORT '{"case":…,"kind":…,"size":…,"count":…}'
import { setTimeout as delay } from 'node:timers/promises';
import { begin, endWithParent, percentile, tell } from './figures.mjs';

const [adapterName, port, parameters] = process.argv.slice(2);
const { default: adapter } = await import(`../adapters/websocket-${adapterName}.mjs`);
const origin = `ws://127.0.0.1:${port}`;
const WARM_UP = 8;
const HIGH_WATER_MARK = 4 << 20;

const cases = {
  /** The peer sends `count` messages as fast as TCP takes them. */
  async receive({ kind, size, count }) {
    let left = 0;
    let done = () => {};
    const text = (data) => {
      if (data.length === size && --left === 0) done();
    };
    const binary = (data) => {
      if (data.byteLength === size && --left === 0) done();
    };
    const flood = async (messages) => {
      const socket = await adapter.connect(
        kind === 'json' ? `${origin}/json/${size}/${messages}` : `${origin}/flood/${kind}/${size}/${messages}`,
        kind === 'binary' ? binary : text,
      );
      const received = new Promise((resolve) => {
        done = resolve;
      });
      left = messages;
      const end = begin();
      socket.send('go');
      await received;
      const spent = end();
      await socket.close();
      return spent;
    };
    await flood(count / WARM_UP);
    return rates(await flood(count), size, count);
  },

  /** `count` messages, no more than `HIGH_WATER_MARK` bytes waiting, until the peer says that it has all. */
  async send({ kind, size, count }) {
    const message = kind === 'text' ? 'w'.repeat(size) : new Uint8Array(size).fill(119);
    const send = async (messages) => {
      let done = () => {};
      const socket = await adapter.connect(`${origin}/sink/${messages}`, () => done());
      const counted = new Promise((resolve) => {
        done = resolve;
      });
      const end = begin();
      for (let sent = 0; sent < messages; ) {
        while (sent < messages && socket.bufferedAmount() < HIGH_WATER_MARK) {
          socket.send(message);
          sent++;
        }
        if (sent < messages) await delay(1);
      }
      await counted;
      const spent = end();
      await socket.close();
      return spent;
    };
    await send(count / WARM_UP);
    return rates(await send(count), size, count);
  },

  /** One message there and back, one after the other. */
  async 'round-trip'({ size, count }) {
    let back = () => {};
    const socket = await adapter.connect(`${origin}/echo`, () => back());
    const message = 'w'.repeat(size);
    const turn = () =>
      new Promise((resolve) => {
        back = resolve;
        socket.send(message);
      });
    for (let index = 0; index < count / WARM_UP; index++) await turn();
    const samples = [];
    const end = begin();
    for (let index = 0; index < count; index++) {
      const sent = performance.now();
      await turn();
      samples.push((performance.now() - sent) * 1e3);
    }
    const spent = end();
    await socket.close();
    return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99), cpu: (spent.cpuSeconds / count) * 1e6 };
  },

  /** Open and close, one after the other. */
  async connect({ count }) {
    const connect = async (times) => {
      for (let index = 0; index < times; index++) {
        const socket = await adapter.connect(`${origin}/echo`, () => {});
        await socket.close();
      }
    };
    await connect(count / WARM_UP);
    const end = begin();
    await connect(count);
    return rates(end(), 0, count);
  },

  /** Open `parallel` connections at once and close them, until `count` are made; `options` are webwire's. */
  async 'connect-parallel'({ parallel, count, options }) {
    await connectInBatches(parallel, count / WARM_UP, options);
    const end = begin();
    await connectInBatches(parallel, count, options);
    return rates(end(), 0, count);
  },

  /** What a connection that does nothing holds, of resident memory. */
  async idle({ connections }) {
    await connectInBatches(20, 20);
    const before = await residentKibibytes();
    const sockets = [];
    while (sockets.length < connections) sockets.push(await adapter.connect(`${origin}/echo`, () => {}));
    const after = await residentKibibytes();
    return { kibibytes: (after - before) / sockets.length };
  },
};

async function connectInBatches(parallel, count, options) {
  for (let made = 0; made < count; made += parallel) {
    const batch = Array.from({ length: parallel }, () => adapter.connect(`${origin}/echo`, () => {}, options));
    const sockets = await Promise.all(batch);
    await Promise.all(sockets.map((socket) => socket.close()));
  }
}

/** Resident memory after garbage collection. */
async function residentKibibytes() {
  for (let round = 0; round < 4; round++) {
    globalThis.gc();
    await delay(50);
  }
  return process.memoryUsage.rss() / 1024;
}

function rates({ seconds, cpuSeconds }, size, count) {
  return { rate: count / seconds, megabytes: (count * size) / 1e6 / seconds, cpu: (cpuSeconds / count) * 1e6 };
}

endWithParent();
const { case: name, ...rest } = JSON.parse(parameters);
await tell(await cases[name](rest));
process.exit(0);
