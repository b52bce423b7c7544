// npm run build | build:debug: the native core by cargo, the web layer by tsc; what is up to date is skipped.

import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { bin, newest, root, run, say } from './tasks.mjs';

const LIBRARIES = { linux: 'libwebwire.so', darwin: 'libwebwire.dylib', win32: 'webwire.dll' };

/** Builds what is stale: the web layer, which knows the addon's name, and the addon with this profile. */
export function build(profile) {
  buildWeb();
  buildCore(profile);
}

/** Builds the addon unless it is newer than all its sources. */
function buildCore(profile) {
  const { platform } = createRequire(import.meta.url)(join(root, 'dist', 'platform.js'));
  const addon = join(root, `webwire.${platform()}.node`);
  const stamp = `${addon}.profile`;
  const built = existsSync(addon) ? statSync(addon).mtimeMs : 0;
  const same = existsSync(stamp) && readFileSync(stamp, 'utf8') === profile;
  if (same && built > newest('src', 'Cargo.toml', 'Cargo.lock', 'build.rs')) return;
  say(`building the native core (${profile}; the first time takes some minutes)`);
  run('cargo', ['build', '--locked', '--lib', ...(profile === 'release' ? ['--release'] : [])]);
  const target = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
  const library = LIBRARIES[process.platform] ?? 'libwebwire.so';
  // A new file under the old name: a process that has the old one loaded keeps it whole.
  const fresh = `${addon}.new`;
  copyFileSync(join(target, profile, library), fresh);
  renameSync(fresh, addon);
  writeFileSync(stamp, profile);
}

/** Compiles web/ to dist/ unless dist/ is newer. */
function buildWeb() {
  const done = join(root, 'dist', '.done');
  const built = existsSync(done) ? statSync(done).mtimeMs : 0;
  if (built > newest('web', 'tsconfig.json')) return;
  say('compiling the web layer');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run(bin('tsc'), ['-p', 'tsconfig.json']);
  writeFileSync(done, '');
}

if (process.argv[1] === import.meta.filename) {
  build(process.argv.includes('--debug') ? 'debug' : 'release');
}
