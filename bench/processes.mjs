// Starting the measured programs and the neutral peer, and reading their lines of JSON.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const TIME_LIMIT_MS = 60_000;
const KEPT_COMPLAINTS = 10_000;

/** A child process that writes lines of JSON. It ends when its standard input is closed, or by `stop`. */
export class Program {
  #child;
  #lines;
  #ended;
  #complaints = '';

  constructor(command, args) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.#complaints = (this.#complaints + text).slice(-KEPT_COMPLAINTS);
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(error.message));
      this.#child.on('close', (code, signal) => resolve(`it ended with ${signal ?? code}`));
    });
    // A peer that ended already can't be told to end.
    this.#child.stdin.on('error', () => {});
  }

  /** The next line's value. */
  async next() {
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve({ late: true }), TIME_LIMIT_MS);
    });
    try {
      const line = await Promise.race([this.#lines.next(), late]);
      if (line.late) throw new Error(`no answer in ${TIME_LIMIT_MS / 1e3} s`);
      if (line.done) throw new Error(`${await this.#ended}: ${cause(this.#complaints)}`);
      return JSON.parse(line.value);
    } finally {
      clearTimeout(timer);
    }
  }

  async stop() {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Starts one of the programs in bench/measured/. */
export function measured(name, args) {
  return new Program(process.execPath, [
    '--expose-gc',
    fileURLToPath(new URL(`measured/${name}.mjs`, import.meta.url)),
    ...args,
  ]);
}

/** Runs `work` with programs that are stopped afterwards, whatever comes of it. */
export async function withPrograms(programs, work) {
  try {
    return await work(...programs);
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
  }
}

/** The line of a stack trace that names the error, or the last line. */
function cause(complaints) {
  const lines = complaints.trim().split('\n');
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1);
}
