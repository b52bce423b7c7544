// Loaded into each test file by suite.mjs: when nothing goes on there for too long, it says where, and ends the file. Node's
// own --test-timeout is for a whole file up to Node 22, which names no test, and for a test from Node 24 on, where a file that
// something keeps alive goes on for ever.

import { relative } from 'node:path';
import { isMainThread } from 'node:worker_threads';

/** From the beginning or the end of one test to the next: far above what any takes on a busy machine. */
const TEST_LIMIT_MS = Number(process.env.WEBWIRE_TEST_LIMIT_MS ?? 180_000);
/** For the end of the process when all tests have ended. */
const END_LIMIT_MS = TEST_LIMIT_MS / 3;

const [, file = ''] = process.argv;

function giveUp(what, ms) {
  const alive = [...new Set(process.getActiveResourcesInfo())].join(', ');
  console.error(`webwire: ${relative('', file)}: ${what}, and nothing else in ${ms / 1000} s; alive: ${alive}`);
  process.exit(1);
}

// The runner loads this as well, and so does what a test starts: workers, and what is forked.
if (isMainThread && process.env.NODE_TEST_CONTEXT !== undefined && file.endsWith('.test.mjs')) {
  const { after, afterEach, beforeEach } = await import('node:test');
  const running = new Set();
  let timer;
  const goesOn = (what, ms = TEST_LIMIT_MS) => {
    clearTimeout(timer);
    // It keeps nothing alive itself.
    timer = setTimeout(giveUp, ms, what, ms).unref();
  };
  beforeEach(({ name }) => {
    running.add(name);
    goesOn(`'${name}' has begun`);
  });
  afterEach(({ name }) => {
    running.delete(name);
    goesOn([`'${name}' has ended`, ...[...running].map((other) => `not '${other}'`)].join(', '));
  });
  after(() => goesOn('all tests have ended', END_LIMIT_MS));
}
