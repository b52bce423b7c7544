// Loads the native core. Where it can't, it says the true reason first and then what was tried.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { platform } from './platform.js';

function load(): unknown {
  const name = platform();
  const local = join(__dirname, '..', `webwire.${name}.node`);
  const tried: string[] = [];
  let cause: unknown;
  for (const [place, present] of [
    [local, existsSync(local)],
    [`@webwire/${name}`, true],
  ] as const) {
    if (!present) {
      tried.push(`${place}: no such file`);
      continue;
    }
    try {
      return require(place);
    } catch (error) {
      const reason = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
      tried.push(`${place}: ${reason}`);
      const missing = error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND';
      if (cause === undefined || !missing) cause = error;
    }
  }
  const reason = cause instanceof Error ? (cause.message.split('\n', 1)[0] ?? '') : 'no build for this platform';
  throw new Error(
    `webwire: the native core could not be loaded: ${reason}\n` +
      `Platform ${name}, Node ${process.version}. Tried:\n${tried.map((line) => `  - ${line}`).join('\n')}`,
    { cause },
  );
}

const addon = load();

/** The native core's exports, seen as what the caller's file declares of them. */
export function native<Exports>(): Exports {
  return addon as Exports;
}
