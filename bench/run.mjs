// npm run bench: webwire beside `ws`, node-datachannel and a raw quinn program, in one run.
//
//   --only ws,wss,dc,wt   some of the four     --case TEXT   cases whose name has TEXT in it
//   --rounds N        3 by default           --quick       one round with less work
//   --json FILE       all rounds' figures
//
// Rounds are interleaved, each measurement has fresh processes, and medians over the rounds are shown. Compare ratios
// within one run, and CPU time rather than wall-clock. Marks that are not reached don't change the exit code.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { dataChannel } from './suites/data-channel.mjs';
import { websocket } from './suites/websocket.mjs';
import { websocketServer } from './suites/websocket-server.mjs';
import { webtransport } from './suites/webtransport.mjs';
import { table } from './table.mjs';

const QUICK = 4;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: 'ws,wss,dc,wt' },
    case: { type: 'string', default: '' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const only = options.only.split(',');
const rounds = Number(options.rounds ?? (options.quick ? 1 : 3));
const suites = [websocket, websocketServer, dataChannel, webtransport].filter(({ name }) => only.includes(name));
if (suites.length < only.length || !(rounds >= 1)) {
  process.stderr.write(
    'usage: npm run bench -- [--only ws,wss,dc,wt] [--case TEXT] [--rounds N] [--quick] [--json FILE]\n',
  );
  process.exit(2);
}

const peer = buildPeer();
const failures = new Map();
const report = [];
console.log(`Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model}, medians of ${rounds} round(s)\n`);
for (const suite of suites) {
  const selected = suite.cases.filter(({ title }) => title.includes(options.case));
  const measured = await measure(suite, selected);
  const results = new Map([...measured].map(([title, byName]) => [title, mapValues(byName, combine)]));
  console.log(`${table(suite, results).join('\n')}\n`);
  report.push({
    suite: suite.name,
    cases: Object.fromEntries([...measured].map(([title, figures]) => [title, figures])),
  });
}
if (options.json)
  writeFileSync(options.json, `${JSON.stringify({ node: process.versions.node, rounds, report }, null, 2)}\n`);
for (const [failure, times] of failures) console.log(`failed ${times} of ${rounds}: ${failure}`);
process.exitCode = failures.size > 0 ? 1 : 0;

/** All rounds of a suite's cases: title → implementation → the figures of each round. */
async function measure(suite, selected) {
  const figures = new Map(
    selected.map(({ title }) => [title, Object.fromEntries(suite.implementations.map((name) => [name, []]))]),
  );
  for (let round = 1; round <= rounds; round++) {
    for (const { title, parameters } of selected) {
      for (const implementation of suite.implementations) {
        progress(`round ${round} of ${rounds}: ${suite.name}, ${title}, ${implementation}`);
        try {
          figures.get(title)[implementation].push(await suite.run(implementation, scaled(parameters), { peer }));
        } catch (error) {
          const failure = `${suite.name}, ${title}, ${implementation}: ${error.message}`;
          failures.set(failure, (failures.get(failure) ?? 0) + 1);
        }
      }
    }
  }
  progress('');
  return figures;
}

/** Less work with --quick. */
function scaled(parameters) {
  if (!options.quick) return parameters;
  return mapValues(parameters, (value, key) => (key === 'count' || key === 'seconds' ? value / QUICK : value));
}

/** The medians of the rounds' figures; single samples are taken together over all rounds. */
function combine(figures) {
  const combined = {};
  for (const key of Object.keys(figures[0] ?? {})) {
    const values = figures.flatMap((round) => round[key]).sort((a, b) => a - b);
    if (key === 'samples') {
      combined.median = median(values);
      combined.p90 = values[Math.ceil((values.length - 1) * 0.9)];
    } else combined[key] = median(values);
  }
  return combined;
}

function median(sorted) {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (text) process.stderr.write(`${text}\n`);
}

/** Builds the Rust program in bench/peer/ unless it is up to date, and returns its path. */
function buildPeer() {
  const folder = fileURLToPath(new URL('peer/', import.meta.url));
  const { status, error } = spawnSync('cargo', ['build', '--release', '--locked'], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) {
    process.stderr.write(`bench/peer could not be built${error ? `: ${error.message}` : ''}\n`);
    process.exit(1);
  }
  const target = process.env.CARGO_TARGET_DIR ?? join(folder, 'target');
  return join(target, 'release', process.platform === 'win32' ? 'bench-peer.exe' : 'bench-peer');
}
