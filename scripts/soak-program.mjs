// What both soaks are made of: programs that take orders, and checks that are counted.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { root, say } from './tasks.mjs';

const faults = [];

/** Says whether it is so; a soak in which something is not fails. */
export function check(is, text) {
  say(`${is ? 'ok' : 'NOT OK'}: ${text}`);
  if (!is) faults.push(text);
}

/** Ends the soak with what the checks have found. */
export function finish() {
  say(faults.length === 0 ? 'soak: passed' : `soak: ${faults.length} failed`);
  process.exit(faults.length === 0 ? 0 : 1);
}

/** A program of __test__/soak/ that takes orders. */
export class Program {
  #child;
  #lines;

  constructor(name, ...options) {
    const args = ['--expose-gc', `__test__/soak/${name}.mjs`, ...options];
    this.#child = spawn(process.execPath, args, { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async next() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('a program has ended');
    return JSON.parse(value);
  }

  async order(order, rest = {}) {
    this.#child.stdin.write(`${JSON.stringify({ order, ...rest })}\n`);
    const { answer, error } = await this.next();
    if (error) throw new Error(error);
    return answer;
  }

  stop() {
    this.#child.kill('SIGKILL');
  }
}
