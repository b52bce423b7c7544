// The counterparts in Python: the programs below peers/, which speak JSON lines over stdin and stdout.

import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { signalPair } from '../helpers/signal.mjs';

const python = process.env.WEBWIRE_PYTHON ?? path.resolve(import.meta.dirname, '../../.venv/bin/python');

/** Starts a program below peers/, and ends it with the test `context`. */
export function startPeer(context, program, ...args) {
  const child = spawn(python, ['-u', path.join(import.meta.dirname, 'peers', program), ...args]);
  const [signal, far] = signalPair();
  far.onmessage = (message) => child.stdin.write(`${JSON.stringify(message)}\n`);
  const lines = [];
  const waiting = [];
  let errors = '';
  child.stderr.on('data', (data) => {
    errors += data;
  });
  // A program that has ended no longer reads; its end is reported by event().
  child.stdin.on('error', () => {});
  const settle = () => {
    for (const wait of [...waiting]) {
      const index = lines.findIndex(({ event }) => event === wait.name);
      const ended = child.exitCode ?? child.signalCode;
      if (index < 0 && ended === null) continue;
      waiting.splice(waiting.indexOf(wait), 1);
      if (index < 0) wait.reject(new Error(`${program} ended (${ended}) before '${wait.name}':\n${errors}`));
      else wait.resolve(lines.splice(index, 1)[0]);
    }
  };
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text);
    if (line.event === 'signal') far.send(line.message);
    else lines.push(line);
    settle();
  });
  const ended = new Promise((resolve) => {
    child.on('close', resolve);
    child.on('error', (error) => {
      errors += error;
      resolve();
    });
  }).then(settle);
  context.after(async () => {
    child.stdin.end();
    child.kill();
    await ended;
  });
  return {
    signal,
    /** Waits for the program's next line with this event. */
    event(name) {
      return new Promise((resolve, reject) => {
        waiting.push({ name, resolve, reject });
        settle();
      });
    },
  };
}
