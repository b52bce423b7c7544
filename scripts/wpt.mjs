// npm run wpt: web-platform-tests over HTTP/1.1. What fails is listed with its reason in __test__/wpt/expectations.json,
// by directory; anything else that fails, and anything listed that passes, fails the command.
//
//   WPT_ROOT     a checkout of web-platform-tests     WPT_PYTHON  a Python that can run `wpt serve`
//   WPT_RUNNER   the runner's run.mjs, which loads __test__/wpt/adapter.mjs
//
//   --dir A,B    only these directories     --node FILE  the Node of the test processes
//   --workers, --filter REGEX, --jobs N, --timeout-factor X, -v: the runner's own

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setUp } from './setup.mjs';
import { root, run, say } from './tasks.mjs';

const folder = join(root, '__test__/wpt');
const expectations = JSON.parse(readFileSync(join(folder, 'expectations.json'), 'utf8'));

const { values: options } = parseArgs({
  options: {
    dir: { type: 'string', default: Object.keys(expectations).join(',') },
    node: { type: 'string', default: process.execPath },
    filter: { type: 'string' },
    jobs: { type: 'string' },
    'timeout-factor': { type: 'string' },
    workers: { type: 'boolean', default: false },
    verbose: { type: 'boolean', short: 'v', default: false },
  },
});

/** A path from the environment. Without it there is nothing to run, which is no success. */
function required(name, what) {
  const path = process.env[name];
  if (path !== undefined && existsSync(path)) return path;
  say(path === undefined ? `${name} is not set: ${what}` : `${name}: there is no ${path} (${what})`);
  process.exit(1);
}

const NOT_RUN = 'NA';
/** Stands for a page that did not end well. */
const PAGE = '(the page)';
/** Statuses of a page that was not run to its end. */
const ENDED = new Set(['OK', NOT_RUN]);

/** What the runner has seen: `{ file, page, subtest, passed, message }`, pages that did not end as well. */
function outcomes({ results }) {
  return results
    .filter(({ status, na }) => status !== NOT_RUN && !na)
    .flatMap(({ id: page, file, status, message, subtests }) => {
      const found = subtests
        .filter(({ na }) => !na)
        .map((one) => ({ file, page, subtest: one.name, passed: one.status === 'PASS', message: one.message }));
      if (!ENDED.has(status) || subtests.length === 0) {
        found.push({ file, page, subtest: PAGE, passed: false, message: `${status} ${message ?? ''}` });
      }
      return found;
    });
}

const runner = required('WPT_RUNNER', "the runner's run.mjs");
required('WPT_ROOT', 'a checkout of web-platform-tests');
setUp();
const directories = options.dir.split(',');
const version = spawnSync(options.node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout?.trim() ?? '';
const major = Number.parseInt(version, 10);
if (Number.isNaN(major)) {
  say(`${options.node} is no Node`);
  process.exit(1);
}
const out = join(mkdtempSync(join(tmpdir(), 'webwire-wpt-')), 'results.json');
const given = ['filter', 'jobs', 'timeout-factor'].filter((name) => options[name] !== undefined);
run(process.execPath, [
  runner,
  ...['--impl', join(folder, 'adapter.mjs'), '--dir', directories.join(','), '--node', options.node, '--out', out],
  // The variants over HTTP/2 (RFC 8441) are another protocol.
  ...['--filter', '^(?!.*wpt_flags=h2)'],
  ...given.flatMap((name) => [`--${name}`, options[name]]),
  ...(options.workers ? ['--workers'] : []),
  ...(options.verbose ? ['-v'] : []),
]);
const seen = outcomes(JSON.parse(readFileSync(out, 'utf8')));
rmSync(join(out, '..'), { recursive: true });

const expected = directories
  .flatMap((directory) => expectations[directory] ?? [])
  .filter(({ nodeBelow = Infinity }) => major < nodeBelow);
const isExpected = (one) =>
  expected.some(({ file = one.file, page = one.page, subtest }) => {
    return one.file === file && one.page === page && one.subtest === subtest;
  });
const failures = seen.filter((one) => !one.passed && !isExpected(one));
const passes = seen.filter((one) => one.passed && isExpected(one));
for (const { page, subtest, message } of failures) console.log(`fails: ${page}\n  ${subtest}\n  ${message}`);
for (const { page, subtest } of passes) console.log(`passes, but is listed to fail: ${page}\n  ${subtest}`);
const subtests = seen.filter(({ subtest }) => subtest !== PAGE);
const passed = subtests.filter((one) => one.passed).length;
const unlisted = failures.length + passes.length;
console.log(`Node ${version}: ${passed} of ${subtests.length} subtests pass, ${unlisted} not as listed`);
if (seen.length === 0) console.log('nothing was run');
process.exitCode = unlisted > 0 || seen.length === 0 ? 1 : 0;
