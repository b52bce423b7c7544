// The loader says the true reason first when the native core can't be loaded, and what is loaded is no more than is needed.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const addon = readdirSync(root).find((name) => name.endsWith('.node'));

function loadCopy(change) {
  const copy = mkdtempSync(join(tmpdir(), 'webwire-loader-'));
  try {
    for (const name of ['dist', 'index.js', 'package.json'])
      cpSync(join(root, name), join(copy, name), { recursive: true });
    change(copy);
    const { stderr, status } = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(copy)})`], {
      encoding: 'utf8',
    });
    assert.notEqual(status, 0);
    return stderr;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

test('a binary that the system refuses: its own words come first', () => {
  const stderr = loadCopy((copy) => writeFileSync(join(copy, addon), 'not a library'));
  const [first] = stderr.split('\n').filter((line) => line.startsWith('Error: webwire:'));
  assert.match(
    first,
    /Error: webwire: the native core could not be loaded: .*(too short|invalid|not a mach-o|not a valid)/i,
  );
  assert.match(stderr, /Tried:/);
});

test('no binary at all: what was tried is listed', () => {
  const stderr = loadCopy(() => {});
  assert.match(stderr, /no such file/);
  assert.match(stderr, /@webwire\/[\w-]+: Cannot find module/);
});

test("Node's fetch, TLS and cryptography are not loaded before a script asks for what needs them", () => {
  const script = `
    const { WebTransport, WebTransportServer, generateCertificate } = await import('webwire/webtransport');
    const { certificate: cert, key, hash } = generateCertificate();
    const server = new WebTransportServer({ host: '127.0.0.1', cert, key });
    server.addEventListener('connection', () => {});
    await server.ready;
    const session = new WebTransport('https://127.0.0.1:' + server.address().port, {
      serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
    });
    await session.ready;
    const loaded = (name) => process.moduleLoadList.includes('NativeModule ' + name);
    console.log(JSON.stringify(['internal/deps/undici/undici', 'tls', 'crypto', 'net'].filter(loaded)));
    process.exit();`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    encoding: 'utf8',
  });
  // The last shows that the list says what it is asked.
  assert.deepEqual(JSON.parse(stdout), ['net']);
});
