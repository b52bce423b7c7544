// What a process trusts by its environment: NODE_EXTRA_CA_CERTS, as Node does; NODE_TLS_REJECT_UNAUTHORIZED not at all.
// https://nodejs.org/api/cli.html#node_extra_ca_certsfile

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createCertificate } from '../helpers/certificate.mjs';
import { listening } from '../helpers/websocket-ends.mjs';

const authority = createCertificate({ authority: true });
const server = createCertificate({ issuer: authority });

/** Connects to a URL, by our client and by Node's own, and says how that went. */
const CLIENT = `
  const { WebSocket } = require('./index.js');
  const [, url] = process.argv;
  const ours = new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => { socket.close(); resolve('opened'); };
    socket.onerror = () => resolve('failed');
  });
  const theirs = new Promise((resolve) => {
    const { hostname: host, port } = new URL(url);
    const socket = require('node:tls').connect({ host, port });
    socket.on('secureConnect', () => { socket.destroy(); resolve('opened'); });
    socket.on('error', () => resolve('failed'));
  });
  Promise.all([ours, theirs]).then((both) => console.log(both.join()));
`;

/** How our client and Node's fare with this environment. */
async function fare(url, environment) {
  const { NODE_EXTRA_CA_CERTS: _, NODE_TLS_REJECT_UNAUTHORIZED: __, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', CLIENT, url], {
    cwd: new URL('../..', import.meta.url),
    env: { ...env, ...environment },
  });
  return stdout.trim().split(',');
}

test('NODE_EXTRA_CA_CERTS is trusted, NODE_TLS_REJECT_UNAUTHORIZED is not heard', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'webwire-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [file, other] = ['file', 'other'].map((name) => join(folder, `${name}.pem`));
  // More than one in a file, as in a bundle.
  writeFileSync(file, `# A bundle\n${createCertificate({ authority: true }).cert}${authority.cert}`);
  writeFileSync(other, createCertificate({ authority: true }).cert);
  const { url } = await listening(t, () => {}, server);
  assert.deepEqual(await fare(url, {}), ['failed', 'failed']);
  assert.deepEqual(await fare(url, { NODE_EXTRA_CA_CERTS: file }), ['opened', 'opened']);
  assert.deepEqual(await fare(url, { NODE_EXTRA_CA_CERTS: other }), ['failed', 'failed']);
  assert.deepEqual(await fare(url, { NODE_EXTRA_CA_CERTS: join(folder, 'none') }), ['failed', 'failed']);
  assert.deepEqual(await fare(url, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }), ['failed', 'opened']);
});
