// npm run build | build:debug: the native core by cargo, the web layer by tsc; what is up to date is skipped.

import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bin, newest, root, run, say } from './tasks.mjs';

const LIBRARIES = { linux: 'libwebwire.so', darwin: 'libwebwire.dylib', win32: 'webwire.dll' };

/** The name of this platform among the builds; `web/binding.ts` asks for the same. */
function platform() {
  const { platform: os, arch } = process;
  if (os === 'linux') {
    const musl = process.report.getReport().header.glibcVersionRuntime === undefined;
    return `linux-${arch}-${musl ? 'musl' : 'gnu'}`;
  }
  return os === 'win32' ? `win32-${arch}-msvc` : `${os}-${arch}`;
}

/** Builds the addon with this profile unless it is newer than all its sources. */
export function buildCore(profile) {
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
export function buildWeb() {
  const done = join(root, 'dist', '.done');
  const built = existsSync(done) ? statSync(done).mtimeMs : 0;
  if (built > newest('web', 'tsconfig.json')) return;
  say('compiling the web layer');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run(bin('tsc'), ['-p', 'tsconfig.json']);
  writeFileSync(done, '');
}

if (process.argv[1] === import.meta.filename) {
  buildCore(process.argv.includes('--debug') ? 'debug' : 'release');
  buildWeb();
}
