// npm run setup: everything a fresh clone needs before its tests or its demo run; what is up to date is skipped.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { root, run, say } from './tasks.mjs';

/** Dependencies, the native core (release) and the web layer. */
export function setUp() {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const stamp = join(root, 'node_modules', '.webwire-lock.json');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
    say('installing the development dependencies');
    run('npm', ['ci', '--no-audit', '--no-fund'], { shell: process.platform === 'win32' });
    writeFileSync(stamp, lock);
  }
  build('release');
}

if (process.argv[1] === import.meta.filename) setUp();
