// npm run lint: formatters and linters of both languages.

import { join } from 'node:path';
import { setUp } from './setup.mjs';
import { bin, root, run, say } from './tasks.mjs';

/** Packages of their own beside the root's. Of the fuzz targets only the form: their code needs what cargo fuzz sets. */
const OTHERS = [
  { manifest: 'bench/peer/Cargo.toml', isLinted: true },
  { manifest: 'fuzz/Cargo.toml', isLinted: false },
];

setUp();
say('rustfmt');
run('cargo', ['fmt', '--check']);
for (const { manifest } of OTHERS) run('cargo', ['fmt', '--check', '--manifest-path', manifest]);
say('clippy');
const clippy = (...args) => ['clippy', '--locked', '--all-targets', ...args, '--', '-D', 'warnings'];
run('cargo', clippy());
for (const { manifest } of OTHERS.filter(({ isLinted }) => isLinted)) {
  // Into the same folder: most of what they need is there.
  const env = { CARGO_TARGET_DIR: join(root, 'target'), ...process.env };
  run('cargo', clippy('--manifest-path', manifest), { env });
}
say('biome');
run(bin('biome'), ['check', '--error-on-warnings', '.']);
