// What the project's commands share: running programs, and whether an output is newer than its sources.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** Says on standard error what is being done. */
export function say(text) {
  process.stderr.write(`webwire: ${text}\n`);
}

/** Runs a program in the project's folder; ends this process with its exit code when it fails. */
export function run(program, args, options = {}) {
  const { status, signal, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) {
    say(`${program} could not be started: ${error.message}`);
    process.exit(1);
  }
  if (status !== 0) {
    if (signal) say(`${program} ended by ${signal}`);
    process.exit(status ?? 1);
  }
}

/** A program that an npm package brings. */
export function bin(name) {
  return join(root, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name);
}

/** The newest time of change of these files and of all below these folders; 0 when there is none. */
export function newest(...paths) {
  let time = 0;
  for (const path of paths) {
    const whole = resolve(root, path);
    if (!existsSync(whole)) continue;
    const stat = statSync(whole);
    const below = stat.isDirectory() ? newest(...readdirSync(whole).map((name) => join(whole, name))) : stat.mtimeMs;
    time = Math.max(time, below);
  }
  return time;
}
