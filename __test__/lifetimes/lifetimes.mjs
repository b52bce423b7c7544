// Beginnings and ends that belong to no API: threads, processes, references, panics, copies. Each scenario runs in a
// child process, on this Node and on those that WEBWIRE_NODES lists.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { describe, test } from 'node:test';

const TIMEOUT_MS = 120_000;

const SCENARIOS = [
  ['terminate', 'connecting'],
  ['terminate', 'open'],
  ['terminate', 'sending'],
  ['terminate', 'receiving'],
  ['terminate', 'closing'],
  ['worker-ends', 'closed'],
  ['worker-ends', 'unref'],
  ['worker-ends', 'exit'],
  ['exit-in-traffic', 'sending'],
  ['exit-in-traffic', 'receiving'],
  ['natural-exit'],
  ['open-keeps'],
  ['unref-lets-go'],
  ['server-unref'],
  ['collected'],
  ['panic'],
  ['copies'],
];

/** Runs a scenario to its end. */
async function run({ signal: killed }, binary, ...args) {
  const file = path.join(import.meta.dirname, 'scenarios.mjs');
  const child = spawn(binary, [file, ...args], { signal: killed, killSignal: 'SIGKILL' });
  // What the killing of a test that took too long says, the test has said.
  child.on('error', () => {});
  let output = '';
  let errors = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  child.stderr.on('data', (data) => {
    errors += data;
  });
  const [code, signal] = await new Promise((resolve) => {
    child.on('close', (...end) => resolve(end));
  });
  assert.deepEqual({ code, signal, output }, { code: 0, signal: null, output: 'done\n' }, errors);
}

const listed = (process.env.WEBWIRE_NODES ?? '').split(path.delimiter).filter(Boolean);

/** Declares the tests of one API. */
export function testLifetimes(api) {
  for (const binary of [process.execPath, ...listed]) {
    describe(binary === process.execPath ? 'this Node' : path.relative(process.cwd(), binary), () => {
      for (const [scenario, argument = ''] of SCENARIOS) {
        const title = `${api}: ${scenario} ${argument}`.trimEnd();
        test(title, { timeout: TIMEOUT_MS }, (context) => run(context, binary, api, scenario, argument));
      }
    });
  }
}
