// The examples of README.md that are whole programs, as somebody pastes them into a file.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const programs = [...readme.matchAll(/^```js\n(import .*?)^```$/gms)].map(([, program]) => program);

/** Runs a program in a folder where webwire is installed; resolves to what it prints. */
async function run(context, program) {
  const folder = mkdtempSync(join(tmpdir(), 'webwire-readme-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'webwire'), 'junction');
  writeFileSync(join(folder, 'example.mjs'), program);
  const { stdout } = await promisify(execFile)(process.execPath, ['example.mjs'], { cwd: folder });
  return stdout;
}

for (const [name, printed, change = (program) => program] of [
  ['new WebSocketServer({ host', 'hello\n'],
  // Behind a server that somebody has.
  [
    'noServer: true',
    '',
    (program) => `import { createServer } from 'node:http';\nconst httpServer = createServer();\n${program}`,
  ],
  ['serverCertificateHashes', 'hello\n'],
  // One that goes on for ever.
  ['onRequest', '', (program) => `${program.replace('4433', '0')}\nawait server.ready;\nawait server.close();`],
  ['RTCPeerConnection', 'hello\n'],
]) {
  test(`the example with ${name}`, { timeout: 60_000 }, async (context) => {
    const [program, ...others] = programs.filter((one) => one.includes(name));
    assert.equal(others.length, 0);
    assert.equal(await run(context, change(program)), printed);
  });
}

test('no other example claims to be whole', () => {
  assert.equal(programs.length, 5);
});
