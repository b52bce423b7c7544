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

import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { setUp } from './setup.mjs';
import { check, finish, Program } from './soak-program.mjs';
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
/** What the heap of JavaScript may choose to grow by between two looks. */
const GROWTH_KIB = 16 * 1024;
/** Of handshakes under way, to begin with. */
const HANDSHAKES_KIB = 64 * 1024;
const IDLE_KIB = 64;
const POURING_KIB = 64 * 1024;
const CLOSING_MS = 5_000;
/** Streams that a session may give up before it is ended. */
const GIVEN_UP_A_SESSION = 1_024;
/** From so many handshakes on a client is asked for its address. */
const UNPROVEN = 128;

/** Runs `work` with a client of its own, and a server that allows so many streams at once. */
async function withPrograms(work, streams = 128) {
  const server = new Program('webtransport-server', String(streams));
  const client = new Program('webtransport-client');
  try {
    const at = await server.next();
    await client.next();
    await work({ server, client, at });
  } finally {
    server.stop();
    client.stop();
  }
}

/** Waits until the server has no session any more; resolves to how long that took. */
async function empty(server) {
  const began = performance.now();
  while ((await server.order('look')).sessions > 0) {
    if (performance.now() - began > 2 * CLOSING_MS) throw new Error('sessions are left');
  }
  return performance.now() - began;
}

const bothHold = async ({ server, client }) => [await server.order('holdings'), await client.order('holdings')];

function checkGrowth(before, after, what, ends = ['server', 'client']) {
  for (const [end, name] of ends.entries()) {
    const growth = after[end].residentKiB - before[end].residentKiB;
    check(growth <= GROWTH_KIB, `${what}: memory of the ${name} grew by ${growth} KiB`);
    const [had, has] = [before[end].descriptors, after[end].descriptors];
    check(has <= had, `${what}: descriptors of the ${name}: ${had}, then ${has}`);
  }
}

/** Streams that are given up cost us less than a core's second for 100,000 halves, and less than who does it. */
async function giveUp(kind, halves) {
  await withPrograms(async ({ server, client, at }) => {
    const rounds = Math.ceil(counts['given-up'] / GIVEN_UP_A_SESSION);
    await client.order('flood', { at, kind, rounds: Math.ceil(rounds / 5) });
    await empty(server);
    const before = await bothHold({ server, client });
    const idle = await server.order('look');
    const { count, cpuMs } = await client.order('flood', { at, kind, rounds });
    const { cpuMs: ours } = await server.order('look');
    const share = (ms) => Math.round((ms * 100_000) / count / halves);
    const [here, there] = [share(ours - idle.cpuMs), share(cpuMs)];
    check(here < 1_000, `${count} × ${kind}: ${here} ms of CPU time for 100,000 halves, of the client ${there} ms`);
    check(here < there, `${kind} costs the client more than us`);
    await empty(server);
    checkGrowth(before, await bothHold({ server, client }), kind, ['server']);
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
    const before = await server.order('look');
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
    const { cpuMs, residentKiB } = await server.order('look');
    check(retries >= counts.initials - 2 * UNPROVEN, `${retries} of ${counts.initials} were asked for their address`);
    check(ms < 1_000, `a good client was served after ${ms} ms`);
    const growth = residentKiB - before.residentKiB;
    check(
      growth <= HANDSHAKES_KIB,
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
    await empty(server);
    const before = await bothHold({ server, client });
    // Of which the server's script reads no streams: what its loops hold is Node's.
    await client.order('hold', { at, count: counts.sessions, path: 'unread' });
    const during = await bothHold({ server, client });
    const { sessions } = await server.order('look');
    check(sessions === counts.sessions, `${sessions} sessions are open`);
    for (const [end, name] of ['server', 'client'].entries()) {
      const each = (during[end].residentKiB - before[end].residentKiB) / counts.sessions;
      check(each <= IDLE_KIB, `an idle session costs the ${name} ${each.toFixed(1)} KiB`);
    }
    const { ms } = await client.order('release');
    const all = Math.round(ms + (await empty(server)));
    check(all < CLOSING_MS, `all closed in ${all} ms`);
    const [{ descriptors }] = await bothHold({ server, client });
    check(
      descriptors <= before[0].descriptors,
      `descriptors of the server: ${before[0].descriptors}, then ${descriptors}`,
    );
  });
  const streams = Math.ceil(counts.sessions / 10);
  // The session's own stream is one of them.
  await withPrograms(async ({ server, client, at }) => {
    const { wrong, ms } = await client.order('many', { at, sessions: 10, streams });
    check(wrong === 0, `${streams} streams at once on each of 10 sessions: ${wrong} wrong`);
    const all = Math.round(ms + (await empty(server)));
    check(all < CLOSING_MS, `their sessions closed in ${all} ms`);
  }, streams + 1);
}

async function pour() {
  await withPrograms(async ({ server, client, at }) => {
    /** Resolves, when all have been read, to the most memory that the server had meanwhile. */
    const through = async (bytes) => {
      const { bytes: before } = await server.order('look');
      const poured = client.order('pour', { at, bytes });
      let most = 0;
      let read = 0;
      while (read < bytes) {
        const look = await server.order('look');
        most = Math.max(most, look.residentKiB);
        read = look.bytes - before;
      }
      const { ms } = await poured;
      await client.order('release');
      await empty(server);
      return { ms, most, read };
    };
    await through(64 * 1024 * 1024);
    const before = await bothHold({ server, client });
    const { ms, most, read } = await through(counts.bytes);
    check(read === counts.bytes, `${read} bytes arrived`);
    const rise = most - before[0].residentKiB;
    check(rise < POURING_KIB, `memory of the server rose by ${rise} KiB meanwhile`);
    say(`${Math.round(counts.bytes / ms / 1_000)} MB/s`);
    checkGrowth(before, await bothHold({ server, client }), 'one long stream');
  });
}

async function churn() {
  await withPrograms(async ({ server, client, at }) => {
    // The first half shows how far the heap of JavaScript grows by itself.
    await client.order('churn', { at, count: Math.ceil(counts.streams / 2) });
    const before = await bothHold({ server, client });
    const { wrong } = await client.order('churn', { at, count: counts.streams });
    check(wrong === 0, `${counts.streams} streams that were used and dropped: ${wrong} wrong`);
    checkGrowth(before, await bothHold({ server, client }), 'streams that were dropped');
  });
}

setUp();
if (counts['given-up'] > 0) {
  await giveUp('unidirectional', 1);
  await giveUp('bidirectional', 2);
}
if (counts.initials > 0) await beginHandshakes();
if (counts.ends > 0) endEverywhere();
if (counts.sessions > 0) await holdSessions();
if (counts.bytes > 0) await pour();
if (counts.streams > 0) await churn();
finish();
