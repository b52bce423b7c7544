// npm run soak: WebSocket held to what it promises of memory and descriptors. Client and server are processes apart.
//
//   --idle N       connections that do nothing (10,000)
//   --seconds N    how long connections come and go through a proxy that cuts and resets (600)
//   --seed N       of that proxy
//
// Fails when an idle connection costs more than 10 KiB of resident memory an end, when memory grows over the second half of
// the run, when a descriptor stays, or an echo is wrong.

import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { tcpProxy } from '../__test__/soak/tcp-proxy.mjs';
import { setUp } from './setup.mjs';
import { root, say } from './tasks.mjs';

const { values } = parseArgs({
  options: {
    idle: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: '1' },
  },
});
const [idle, seconds, seed] = [values.idle, values.seconds, values.seed].map(Number);
const IDLE_KIB = 10;
const GROWTH_KIB = 5 * 1024;
const SAMPLES = 20;
const PARALLEL = 40;

/** A program of __test__/soak/ that takes orders. */
class Program {
  #child;
  #lines;

  constructor(name) {
    const file = `__test__/soak/${name}.mjs`;
    this.#child = spawn(process.execPath, ['--expose-gc', file], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] });
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

const faults = [];
function check(is, text) {
  say(`${is ? 'ok' : 'NOT OK'}: ${text}`);
  if (!is) faults.push(text);
}

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

async function comeAndGo(far, near, port) {
  const proxy = await tcpProxy({ target: () => port, seed, resetOneOf: 10 });
  const url = `ws://127.0.0.1:${proxy.port}/`;
  const work = (time, number) =>
    near.order('work', { url, seconds: time, parallel: PARALLEL, seed: seed * 1_000_003 + number * PARALLEL });
  await work(seconds / SAMPLES, 0);
  const before = [await far.order('holdings'), await near.order('holdings')];
  const samples = [];
  const sum = { connections: 0, echoes: 0, failed: 0, reset: 0, wrong: 0 };
  for (let number = 1; number <= SAMPLES; number += 1) {
    const counts = await work(seconds / SAMPLES, number);
    for (const key of Object.keys(sum)) sum[key] += counts[key];
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
if (seconds > 0) await comeAndGo(far, near, port);
far.stop();
near.stop();
say(faults.length === 0 ? 'soak: passed' : `soak: ${faults.length} failed`);
process.exit(faults.length === 0 ? 0 : 1);
