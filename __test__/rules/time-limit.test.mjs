// A test that hangs, and a file that does not end, are named soon: scripts/time-limit.mjs, on every Node.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const LIMITED = new URL('../../scripts/time-limit.mjs', import.meta.url);
const ALIVE = 'setInterval(() => {}, 1000);';

for (const [what, program, says] of [
  ['a test that hangs', `${ALIVE} test('one', () => new Promise(() => {}));`, /'one' has begun/],
  [
    'a hook that hangs',
    `${ALIVE} test('one', (t) => t.after(() => new Promise(() => {})));`,
    /'one' has (begun|ended)/,
  ],
  ['something that stays', `${ALIVE} test('one', () => {});`, /(ended|begun), .*alive: .*Timeout/],
]) {
  test(what, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'webwire-limit-'));
    t.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'some.test.mjs'), `import { test } from 'node:test'; ${program}`);
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout } = spawnSync(process.execPath, [`--import=${LIMITED}`, '--test', 'some.test.mjs'], {
      cwd: folder,
      env: { ...env, WEBWIRE_TEST_LIMIT_MS: '300' },
      encoding: 'utf8',
    });
    assert.equal(status, 1);
    assert.match(stdout, says);
  });
}
