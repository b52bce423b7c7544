// npm run soak:webtransport: WebTransport held to what it promises under load and hostility. Client and server are processes apart.
//
//   --given-up N   streams of each kind that a client opens only to give them up (100,000)
//   --initials N   handshakes that are begun and never go on, each of another client (100,000)
//   --ends N       worker threads and processes that end in each state of a session (1,000)
//   --sessions N   sessions that do nothing (10,000), and streams on ten others, a tenth as many on each
//   --bytes N      through one stream (1 GiB)
//   --streams N    that are opened, used and dropped (100,000)
//
// 0 leaves a part out.

import { spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { setUp } from './setup.mjs';
import { root, say } from './tasks.mjs';

const { values } = parseArgs({
  options: {
    'given-up': { type: 'string', default: '100000' },
    initials: { type: 'string', default: '100000' },
    ends: { type: 'string', default: '1000' },
    sessions: { type: 'string', default: '10000' },
    bytes: { type: 'string', default: String(1024 ** 3) },
    streams: { type: 'string', default: '100000' },
  },
});
const counts = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]));
const GROWTH_KIB = 5 * 1024;
const IDLE_KIB = 64;
const POURING_KIB = 64 * 1024;
const CLOSING_MS = 5_000;
/** Streams that a session may give up before it is ended. */
const GIVEN_UP_A_SESSION = 1_024;
/** From so many handshakes on a client is asked for its address. */
const UNPROVEN = 128;

const faults = [];
function check(is, text) {
  say(`${is ? 'ok' : 'NOT OK'}: ${text}`);
  if (!is) faults.push(text);
}

/** A program of __test__/soak/ that takes orders. */
class Program {
  #child;
  #lines;

  constructor(name) {
    const args = ['--expose-gc', `__test__/soak/${name}.mjs`];
    this.#child = spawn(process.execPath, args, { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async next() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('a program has ended');
    return JSON.parse(value);
  }

  async order(order, rest = {}) {
    this.#child.stdin.write(`${JSON.stringify({ order, ...rest })}\n`);
    const { answer, error } = await this.next();
    if (error) throw new Error(error);
    return answer;
  }

  stop() {
    this.#child.kill('SIGKILL');
  }
}

/** Runs `work` with a server and a client of their own. */
async function withPrograms(work) {
  const [server, client] = ['webtransport-server', 'webtransport-client'].map((name) => new Program(name));
  try {
    const at = await server.next();
    await client.next();
    await work({ server, client, at });
  } finally {
    server.stop();
    client.stop();
  }
}

const bothHold = async ({ server, client }) => [await server.order('holdings'), await client.order('holdings')];

function checkGrowth(before, after, what) {
  for (const [end, name] of ['server', 'client'].entries()) {
    const growth = after[end].residentKiB - before[end].residentKiB;
    check(growth <= GROWTH_KIB, `${what}: memory of the ${name} grew by ${growth} KiB`);
    const [had, has] = [before[end].descriptors, after[end].descriptors];
    check(has <= had, `${what}: descriptors of the ${name}: ${had}, then ${has}`);
  }
  check(after[0].sessions === 0, `${what}: ${after[0].sessions} sessions are left`);
}

/** Streams that are given up cost us less than a core's second for 100,000, and less than who does it. */
async function giveUp(kind) {
  await withPrograms(async ({ server, client, at }) => {
    const rounds = Math.ceil(counts['given-up'] / GIVEN_UP_A_SESSION);
    await client.order('flood', { at, kind, rounds: Math.ceil(rounds / 10) });
    const before = await bothHold({ server, client });
    const { count } = await client.order('flood', { at, kind, rounds });
    const after = await bothHold({ server, client });
    const [ours, theirs] = after.map(({ cpuMs }, end) => Math.round(((cpuMs - before[end].cpuMs) * 100_000) / count));
    check(ours < 1_000, `${count} × ${kind}: ${ours} ms of CPU time for 100,000, of the client ${theirs} ms`);
    check(ours < theirs, `${kind} costs the client more than us`);
    checkGrowth(before, after, kind);
  });
}

/** Initials of clients that never go on: beyond the limit each is asked for its address, and a good client is served. */
async function beginHandshakes() {
  const { clientHello, crypto, initial, longHeader, parseLongHeader, transportParameters } = await import(
    '../__test__/helpers/quic.mjs'
  );
  const { randomBytes } = await import('node:crypto');
  await withPrograms(async ({ server, client, at }) => {
    const port = Number(new URL(at.url).port);
    const before = await server.order('holdings');
    // Half of a ClientHello, from many addresses of this machine.
    const half = clientHello(transportParameters(randomBytes(8))).subarray(0, 100);
    let retries = 0;
    let onAnswer = () => {};
    const senders = [];
    for (let number = 0; number < 250; number += 1) {
      const socket = createSocket('udp4').bind(0, `127.0.1.${number + 1}`);
      await once(socket, 'listening');
      socket.on('message', (packet) => {
        const { isLong, version, type, destination } = parseLongHeader(packet);
        if (isLong && version === 0) onAnswer(destination);
        else if (isLong && type === 3) retries += 1;
      });
      senders.push(socket);
    }
    const send = (socket, packet) =>
      new Promise((resolve, reject) => {
        socket.send(packet, port, '127.0.0.1', (error) => (error ? reject(error) : resolve()));
      });
    /** Version negotiation is answered when all before it has been read. */
    const flush = async (socket) => {
      const source = randomBytes(8);
      const answered = new Promise((resolve) => {
        onAnswer = (destination) => destination.equals(source) && resolve();
      });
      await send(socket, longHeader({ version: 0x1a2a3a4a, source }));
      await answered;
    };
    for (let count = 0; count < counts.initials; count += 1) {
      const socket = senders[count % senders.length];
      await send(socket, initial(crypto(0, half)));
      if (count % 16 === 0) await flush(socket);
    }
    for (const socket of senders) await flush(socket);
    const began = performance.now();
    await client.order('hold', { at, count: 1 });
    const ms = Math.round(performance.now() - began);
    await client.order('release');
    const { cpuMs, residentKiB } = await server.order('holdings');
    check(retries >= counts.initials - 2 * UNPROVEN, `${retries} of ${counts.initials} were asked for their address`);
    check(ms < 1_000, `a good client was served after ${ms} ms`);
    const growth = residentKiB - before.residentKiB;
    check(
      growth <= 4 * GROWTH_KIB,
      `memory of the server grew by ${growth} KiB, with ${UNPROVEN} handshakes under way`,
    );
    say(`CPU of the server: ${cpuMs - before.cpuMs} ms`);
    for (const socket of senders) socket.close();
  });
}

/** Worker threads and processes that end in some state of a session; what the far end and this process keep is counted there. */
function endEverywhere() {
  const scenario = (...args) => {
    const env = { ...process.env, WEBWIRE_ROUNDS: String(counts.ends) };
    const program = ['__test__/lifetimes/scenarios.mjs', 'webtransport', ...args];
    const { status, stderr } = spawnSync(process.execPath, program, { cwd: root, env, encoding: 'utf8' });
    if (status !== 0) say(stderr);
    return status === 0;
  };
  for (const state of ['connecting', 'open', 'sending', 'receiving', 'closing']) {
    check(scenario('terminate', state), `${counts.ends} worker threads that were terminated: ${state}`);
  }
  for (const state of ['sending', 'receiving']) {
    let bad = 0;
    for (let count = 0; count < counts.ends; count += 1) if (!scenario('exit-in-traffic', state)) bad += 1;
    check(bad === 0, `${counts.ends} processes that ended: ${state}; ${bad} not as they should`);
  }
}

async function holdSessions() {
  await withPrograms(async ({ server, client, at }) => {
    await client.order('hold', { at, count: 50 });
    await client.order('release');
    const before = await bothHold({ server, client });
    await client.order('hold', { at, count: counts.sessions });
    const during = await bothHold({ server, client });
    check(during[0].sessions === counts.sessions, `${during[0].sessions} sessions are open`);
    for (const [end, name] of ['server', 'client'].entries()) {
      const each = (during[end].residentKiB - before[end].residentKiB) / counts.sessions;
      check(each <= IDLE_KIB, `an idle session costs the ${name} ${each.toFixed(1)} KiB`);
    }
    const { ms } = await client.order('release');
    check(ms < CLOSING_MS, `all closed in ${ms} ms`);
    const [{ sessions, descriptors }] = await bothHold({ server, client });
    check(sessions === 0, `${sessions} sessions are left`);
    check(
      descriptors <= before[0].descriptors,
      `descriptors of the server: ${before[0].descriptors}, then ${descriptors}`,
    );
  });
  await withPrograms(async ({ client, at }) => {
    const streams = Math.ceil(counts.sessions / 10);
    const { wrong, ms } = await client.order('many', { at, sessions: 10, streams });
    check(wrong === 0, `${streams} streams at once on each of 10 sessions: ${wrong} wrong`);
    check(ms < CLOSING_MS, `their sessions closed in ${ms} ms`);
  });
}

async function pour() {
  await withPrograms(async ({ server, client, at }) => {
    await client.order('pour', { at, bytes: 64 * 1024 * 1024 });
    const before = await bothHold({ server, client });
    let most = 0;
    let isOver = false;
    const poured = client.order('pour', { at, bytes: counts.bytes }).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      most = Math.max(most, await server.order('resident'));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { ms } = await poured;
    const after = await bothHold({ server, client });
    check(after[0].bytes - before[0].bytes === counts.bytes, `${after[0].bytes - before[0].bytes} bytes arrived`);
    const rise = most - before[0].residentKiB;
    check(rise < POURING_KIB, `memory of the server rose by ${rise} KiB meanwhile`);
    say(`${Math.round(counts.bytes / ms / 1_000)} MB/s`);
    checkGrowth(before, after, 'one long stream');
  });
}

async function churn() {
  await withPrograms(async ({ server, client, at }) => {
    await client.order('churn', { at, count: Math.ceil(counts.streams / 5) });
    const before = await bothHold({ server, client });
    const { wrong } = await client.order('churn', { at, count: counts.streams });
    check(wrong === 0, `${counts.streams} streams that were used and dropped: ${wrong} wrong`);
    checkGrowth(before, await bothHold({ server, client }), 'streams that were dropped');
  });
}

setUp();
if (counts['given-up'] > 0) for (const kind of ['unidirectional', 'bidirectional']) await giveUp(kind);
if (counts.initials > 0) await beginHandshakes();
if (counts.ends > 0) endEverywhere();
if (counts.sessions > 0) await holdSessions();
if (counts.bytes > 0) await pour();
if (counts.streams > 0) await churn();
say(faults.length === 0 ? 'soak: passed' : `soak: ${faults.length} failed`);
process.exit(faults.length === 0 ? 0 : 1);
