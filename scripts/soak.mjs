// npm run soak: WebSocket held to what it promises of memory and descriptors. Client and server are processes apart.
//
//   --idle N       connections that do nothing (10,000)
//   --dropped N    connections that are opened and that nothing refers to (100,000)
//   --paced N      for how many seconds a thousand connections a second are made and closed (60)
//   --long N       bytes of one message (2 GiB)
//   --seconds N    how long connections come and go through a proxy that cuts and resets (600)
//   --seed N       of that proxy
//
// 0 leaves a part out.
//
// Fails when an idle connection costs more than 10 KiB of resident memory an end, when memory grows over the second half of
// a part, when a descriptor stays, an echo is wrong, or a connection breaks that the proxy has not reset.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { tcpProxy } from '../__test__/soak/tcp-proxy.mjs';
import { setUp } from './setup.mjs';
import { check, finish, Program } from './soak-program.mjs';
import { say } from './tasks.mjs';

const { values } = parseArgs({
  options: {
    idle: { type: 'string', default: '10000' },
    dropped: { type: 'string', default: '100000' },
    paced: { type: 'string', default: '60' },
    long: { type: 'string', default: String(2 ** 31) },
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: '1' },
  },
});
const { idle, dropped, paced, long, seconds, seed } = Object.fromEntries(
  Object.entries(values).map(([name, value]) => [name, Number(value)]),
);
const IDLE_KIB = 10;
const GROWTH_KIB = 5 * 1024;
const SAMPLES = 20;
const PARALLEL = 40;
const PACE = 1_000;

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

async function holdIdle(far, near, url) {
  await near.order('hold', { url, count: 50 });
  await near.order('release');
  const before = [await far.order('holdings'), await near.order('holdings')];
  await near.order('hold', { url, count: idle });
  const during = [await far.order('holdings'), await near.order('holdings')];
  check(during[0].sockets === idle, `${during[0].sockets} connections are open`);
  for (const [end, name] of ['server', 'client'].entries()) {
    const each = (during[end].residentKiB - before[end].residentKiB) / idle;
    check(each <= IDLE_KIB, `an idle connection costs the ${name} ${each.toFixed(1)} KiB`);
  }
  await delay(5_000);
  const after = [await far.order('holdings'), await near.order('holdings')];
  for (const [end, name] of ['server', 'client'].entries()) {
    // Of 5 s; the measuring itself, garbage collection of 10,000 objects, is in it.
    say(`CPU of the ${name} in 5 idle seconds and one measuring: ${after[end].cpuMs - during[end].cpuMs} ms`);
  }
  const { ms } = await near.order('release');
  say(`all closed in ${ms} ms`);
  const [server, client] = [await far.order('holdings'), await near.order('holdings')];
  check(server.sockets === 0, `${server.sockets} connections are left`);
  check(server.descriptors === before[0].descriptors, `descriptors of the server: ${server.descriptors}`);
  check(client.descriptors === before[1].descriptors, `descriptors of the client: ${client.descriptors}`);
}

/** What both processes hold now, against before: memory within the bound, and no descriptor more. */
async function checkHoldings(far, near, before) {
  const after = [await far.order('holdings'), await near.order('holdings')];
  for (const [end, name] of ['server', 'client'].entries()) {
    const growth = after[end].residentKiB - before[end].residentKiB;
    check(growth <= GROWTH_KIB, `memory of the ${name} grew by ${growth} KiB`);
    const [then, now] = [before[end].descriptors, after[end].descriptors];
    check(now <= then, `descriptors of the ${name}: ${then}, then ${now}`);
  }
  check(after[0].sockets === 0, `${after[0].sockets} connections are left`);
}

async function dropUnclosed(far, near, url) {
  await near.order('drop', { url, count: dropped / 10 });
  const before = [await far.order('holdings'), await near.order('holdings')];
  await near.order('drop', { url, count: dropped - dropped / 10 });
  say(`${dropped} connections were opened and dropped; of the last nine tenths:`);
  await checkHoldings(far, near, before);
}

/** The connections in TIME_WAIT of which one end has this port: `[the server's, the client's]`. */
function timeWaits(port) {
  const sides = [0, 0];
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n')) {
    const [, local, remote, state] = line.trim().split(/\s+/);
    if (state !== '06') continue;
    if (local.endsWith(suffix)) sides[0] += 1;
    if (remote.endsWith(suffix)) sides[1] += 1;
  }
  return sides;
}

async function keepPace(far, near, port) {
  const url = `ws://127.0.0.1:${port}/`;
  await near.order('pace', { url, aSecond: PACE, seconds: paced / 10 });
  const before = [await far.order('holdings'), await near.order('holdings')];
  const { made, most, ms } = await near.order('pace', { url, aSecond: PACE, seconds: paced });
  const [servers, clients] = timeWaits(port);
  say(`${made} connections in ${ms} ms, at most ${most} at once; ${servers} of the server's are in TIME_WAIT`);
  // The server ends the transport first, so that no client runs out of ports (RFC 6455 section 7.1.1).
  check(clients === 0, `${clients} of the client's are in TIME_WAIT`);
  await checkHoldings(far, near, before);
}

/** Takes one message from a client and answers its Close frame. Resolves to what came of it when that has closed. */
async function takeLong(socket) {
  const { opening, readUntil } = await import('../__test__/helpers/websocket-ends.mjs');
  socket.write(opening(await readUntil(socket, '\r\n\r\n')));
  const FRAME = 14;
  const CLOSE_FRAME = 6;
  const whole = FRAME + long + CLOSE_FRAME;
  let length = 0;
  let head = Buffer.alloc(0);
  let last;
  await new Promise((resolve) => {
    socket.on('data', (chunk) => {
      if (head.length <= FRAME) head = Buffer.concat([head, chunk.subarray(0, 64)]);
      const at = FRAME + long - 1 - length;
      if (at >= 0 && at < chunk.length) last = chunk[at];
      length += chunk.length;
      if (length >= whole) resolve();
    });
    socket.on('close', resolve);
  });
  socket.end(Buffer.from([0x88, 0]));
  const mask = head.subarray(10, FRAME);
  return {
    length,
    whole,
    announced: Number(head.readBigUInt64BE(2)),
    ends: [head[FRAME] ^ mask[0], last ^ mask[(long - 1) & 3]],
  };
}

async function sendLong(near, port) {
  await near.order('sendLong', { url: `ws://127.0.0.1:${port}/`, length: 1 });
  const before = await near.order('holdings');
  let taken;
  const server = createServer((socket) => {
    taken = takeLong(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `ws://127.0.0.1:${server.address().port}/`;
  const { buffered, left, wasClean } = await near.order('sendLong', { url, length: long });
  const { length, whole, announced, ends } = await taken;
  server.close();
  check(buffered === long && left === 0 && wasClean, `bufferedAmount was ${buffered}, then ${left}`);
  check(length === whole && announced === long, `a message of ${announced} bytes was sent in ${length}`);
  check(
    ends.every((byte) => byte === 1),
    'it is what it was at the call',
  );
  const growth = (await near.order('holdings')).residentKiB - before.residentKiB;
  check(growth <= GROWTH_KIB, `memory of the client grew by ${growth} KiB`);
}

async function comeAndGo(far, near, port) {
  const proxy = await tcpProxy({ target: () => port, seed, resetOneOf: 10 });
  const url = `ws://127.0.0.1:${proxy.port}/`;
  const work = (time, number) =>
    near.order('work', { url, seconds: time, parallel: PARALLEL, seed: seed * 1_000_003 + number * PARALLEL });
  await work(seconds / SAMPLES, 0);
  const before = [await far.order('holdings'), await near.order('holdings')];
  const samples = [];
  const sum = { connections: 0, echoes: 0, failed: 0, reset: 0, wrong: 0 };
  const unexplained = [];
  for (let number = 1; number <= SAMPLES; number += 1) {
    const { counts, broken } = await work(seconds / SAMPLES, number);
    for (const key of Object.keys(sum)) sum[key] += counts[key];
    unexplained.push(...broken.filter((path) => !proxy.reset.has(path)));
    samples.push([await far.order('holdings'), await near.order('holdings')]);
    say(
      `${number} of ${SAMPLES}: ${samples
        .at(-1)
        .map(({ residentKiB }) => `${residentKiB} KiB`)
        .join(', ')}`,
    );
  }
  proxy.close();
  say(`${JSON.stringify(sum)}; the proxy reset ${proxy.counts.resets} of ${proxy.counts.connections}`);
  check(sum.wrong === 0 && sum.echoes > 0, `${sum.wrong} wrong echoes of ${sum.echoes}`);
  check(unexplained.length === 0, `${unexplained.length} connections broke that the proxy has left alone`);
  for (const [end, name] of ['server', 'client'].entries()) {
    const resident = samples.map((sample) => sample[end].residentKiB);
    const growth = median(resident.slice(-SAMPLES / 4)) - median(resident.slice(SAMPLES / 2, (SAMPLES * 3) / 4));
    check(growth <= GROWTH_KIB, `memory of the ${name} grew by ${growth} KiB from the third to the last quarter`);
    const last = samples.at(-1)[end].descriptors;
    check(last <= before[end].descriptors, `descriptors of the ${name}: ${before[end].descriptors}, then ${last}`);
  }
  check(samples.at(-1)[0].sockets === 0, `${samples.at(-1)[0].sockets} connections are left`);
}

setUp();
// Node raises its own limit of descriptors to the hard one.
const limit = Number(spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).stdout);
if (limit < idle + 100) say(`the limit of descriptors is ${limit}: ${idle} connections do not fit`);
const far = new Program('far');
const near = new Program('near');
const { port } = await far.next();
await near.next();
if (idle > 0) await holdIdle(far, near, `ws://127.0.0.1:${port}/`);
if (dropped > 0) await dropUnclosed(far, near, `ws://127.0.0.1:${port}/`);
if (paced > 0) await keepPace(far, near, port);
if (long > 0) await sendLong(near, port);
if (seconds > 0) await comeAndGo(far, near, port);
far.stop();
near.stop();
finish();
