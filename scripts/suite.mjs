// Runs test files under node --test, shows them as they go, and ends with one line of counts.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, say } from './tasks.mjs';

/** For what time-limit.mjs can't end, a thread that stands still: a whole file up to Node 22, a test from Node 24 on. */
const LAST_TIMEOUT_MS = 900_000;
/** Files at a time: Node's own choice, but never one alone, since most tests wait for a peer or a time limit. */
const CONCURRENCY = Math.max(2, availableParallelism() - 1);

/** The paths, from the root, of all files below `folder` whose names end with `.test.mjs`. */
export function testFiles(folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => name.endsWith('.test.mjs'))
    .map((name) => join(folder, name))
    .sort();
}

/**
 * Runs the files; `through` is a command that the run goes through. Sets this process's exit code. The last line is
 * `webwire: NAME: N passed, N failed`.
 */
export function runSuite(name, files, { through = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'webwire-suite-'));
  const counts = join(folder, 'counts.tap');
  const [program, ...args] = [
    ...through,
    process.execPath,
    '--test',
    `--import=${new URL('time-limit.mjs', import.meta.url)}`,
    `--test-timeout=${LAST_TIMEOUT_MS}`,
    `--test-concurrency=${CONCURRENCY}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=tap',
    `--test-reporter-destination=${counts}`,
    ...process.argv.slice(2).filter((option) => option.startsWith('--')),
    ...files,
  ];
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (error) say(`${program} could not be started: ${error.message}`);
  const count = (word, text) => Number(text.match(new RegExp(`^# ${word} (\\d+)$`, 'm'))?.[1] ?? 0);
  const text = status === null ? '' : readFileSync(counts, 'utf8');
  rmSync(folder, { recursive: true, force: true });
  const passed = count('pass', text);
  let failed = count('fail', text) + count('cancelled', text);
  // A run that ended badly, or ran nothing, is a failure whatever its counts are.
  if ((status !== 0 || passed === 0) && failed === 0) failed = 1;
  say(`${name}: ${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
