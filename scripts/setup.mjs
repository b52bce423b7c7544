// npm run setup: everything a fresh clone needs before its tests or its demo run; what is up to date is skipped.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buildCore, buildWeb } from './build.mjs';
import { newest, root, run, say } from './tasks.mjs';

/** Dependencies, the native core (release) and the web layer. */
export function setUp() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed) || statSync(installed).mtimeMs < newest('package-lock.json')) {
    say('installing the development dependencies');
    run('npm', ['ci', '--no-audit', '--no-fund'], { shell: process.platform === 'win32' });
  }
  buildCore('release');
  buildWeb();
}

if (process.argv[1] === import.meta.filename) setUp();
