// The measured ends of the data channel cases. This process offers; it starts a second one that answers, or holds both
// ends itself. Signalling goes over the channel that Node has between parent and child.
// node data-channel.mjs ADAPTER '{"case":…,"processes":2,…}'
import { fork } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { begin, cpuSeconds, endWithParent, percentile, tell } from './figures.mjs';

const HIGH_WATER_MARK = 1 << 20;
const LOW_WATER_MARK = 256 << 10;
const MESSAGES_A_TURN = 512;
const WARM_UP = 8;

const [adapterName, parameters] = process.argv.slice(2);
const { createPeer } = await import(`../adapters/webrtc-${adapterName}.mjs`);

/** The answering end: greets, then counts what comes, or sends it back, as the offering end said. */
class Answerer {
  #peer;
  #mode;
  #bytes = 0;
  #reply;

  constructor(reply) {
    this.#reply = reply;
  }

  receive({ begin: mode, signal, close, cpu }) {
    if (mode !== undefined) {
      this.#mode = mode;
      this.#peer = createPeer({
        signal: (message) => this.#reply({ signal: message }),
        open: (channel) => channel.send('open'),
        message: (channel, data) => this.#message(channel, data),
      });
    } else if (signal !== undefined) this.#peer.receive(signal);
    else if (close) this.#peer.close();
    else if (cpu) this.#reply({ cpu: cpuSeconds() });
  }

  #message(channel, data) {
    if (this.#mode === 'echo') channel.send(data);
    else if (typeof data === 'string') {
      channel.send(String(this.#bytes));
      this.#bytes = 0;
    } else this.#bytes += data.byteLength;
  }
}

/** The offering end, and its way to the answering one. */
class Offerer {
  #send;
  #ownCpu;
  #cpu = () => {};
  #peer;
  message = () => {};

  constructor(processes) {
    if (processes === 2) {
      const other = fork(fileURLToPath(import.meta.url), [adapterName, 'answer'], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      other.on('message', (message) => this.#receive(message));
      this.#send = (message) => other.send(message);
    } else {
      const other = new Answerer((message) => this.#receive(message));
      this.#send = (message) => other.receive(message);
    }
    this.#ownCpu = processes === 2;
  }

  #receive({ signal, cpu }) {
    if (signal !== undefined) this.#peer.receive(signal);
    else this.#cpu(cpu);
  }

  /** Resolves to the channel once it is open at both ends. */
  open(mode) {
    return new Promise((resolve) => {
      let own;
      let greeted = false;
      this.#send({ begin: mode });
      this.#peer = createPeer({
        signal: (message) => this.#send({ signal: message }),
        open: (channel) => {
          own = channel;
          if (greeted) resolve(own);
        },
        message: (channel, data) => {
          if (greeted) return this.message(data);
          greeted = true;
          if (own) resolve(channel);
        },
      });
      this.#peer.offer();
    });
  }

  close() {
    this.#peer.close();
    this.#send({ close: true });
  }

  /** Seconds of CPU time of both ends until now. */
  cpu() {
    return new Promise((resolve) => {
      this.#cpu = (other) => resolve(other + (this.#ownCpu ? cpuSeconds() : 0));
      this.#send({ cpu: true });
    });
  }
}

const cases = {
  /** From nothing (keys are made too) to a channel that is open at both ends. */
  async open(offerer, { count }) {
    const samples = [];
    let before = 0;
    for (let index = -2; index < count; index++) {
      if (index === 0) before = await offerer.cpu();
      const start = performance.now();
      await offerer.open('sink');
      if (index >= 0) samples.push(performance.now() - start);
      offerer.close();
      // Both ends have closed when the answer has come.
      await offerer.cpu();
    }
    return { samples, cpu: (((await offerer.cpu()) - before) / count) * 1e3 };
  },

  /** Messages for a time, at most a MiB waiting, until the other end says that it has all. */
  async throughput(offerer, { size, seconds }) {
    const channel = await offerer.open('sink');
    const message = new Uint8Array(size).fill(119);
    await flood(offerer, channel, message, seconds / WARM_UP);
    const before = await offerer.cpu();
    const end = begin();
    const bytes = await flood(offerer, channel, message, seconds);
    const spent = end();
    const cpu = (await offerer.cpu()) - before;
    const messages = bytes / size;
    return {
      rate: messages / spent.seconds,
      megabytes: bytes / 1e6 / spent.seconds,
      cpu: (cpu / messages) * 1e6,
      cpuPerGigabyte: cpu / (bytes / 1e9),
    };
  },

  /** One message there and back, one after the other. */
  async 'round-trip'(offerer, { size, count }) {
    const channel = await offerer.open('echo');
    const message = new Uint8Array(size);
    const samples = [];
    let before = 0;
    for (let index = -count / WARM_UP; index < count; index++) {
      if (index === 0) before = await offerer.cpu();
      const sent = performance.now();
      await new Promise((resolve) => {
        offerer.message = resolve;
        channel.send(message);
      });
      if (index >= 0) samples.push((performance.now() - sent) * 1e3);
    }
    const cpu = (await offerer.cpu()) - before;
    return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99), cpu: (cpu / count) * 1e6 };
  },
};

async function flood(offerer, channel, message, seconds) {
  const end = performance.now() + seconds * 1e3;
  let sent = 0;
  while (performance.now() < end) {
    for (let index = 0; index < MESSAGES_A_TURN && channel.bufferedAmount() < HIGH_WATER_MARK; index++) {
      channel.send(message);
      sent += message.byteLength;
    }
    if (channel.bufferedAmount() < HIGH_WATER_MARK) await turn();
    else await channel.drained(LOW_WATER_MARK);
  }
  const received = await new Promise((resolve) => {
    offerer.message = resolve;
    channel.send('end');
  });
  if (Number(received) !== sent) throw new Error(`${sent} bytes sent, ${received} received`);
  return sent;
}

if (parameters === 'answer') {
  const answerer = new Answerer((message) => process.send(message));
  process.on('message', (message) => answerer.receive(message));
  process.on('disconnect', () => process.exit(0));
} else {
  endWithParent();
  const { case: name, processes, ...rest } = JSON.parse(parameters);
  await tell(await cases[name](new Offerer(processes), rest));
  process.exit(0);
}
