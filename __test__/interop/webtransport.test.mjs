// WebTransport against Chromium and aioquic.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import webwire from '../../index.js';
import { startBrowser } from './browser.mjs';
import { certificateFiles } from './certificate-files.mjs';
import { startPeer } from './counterpart.mjs';
import { exerciseWebTransport } from './exercises.mjs';
import { serveOneSession } from './servers.mjs';
import { TIMEOUT_MS } from './timeout.mjs';

const CLOSE_INFO = { closeCode: 7, reason: 'done' };
const SEEN = { path: '/path', answer: 'hello from the client', ...CLOSE_INFO };

test('Chromium to our WebTransportServer', { timeout: TIMEOUT_MS }, async (context) => {
  const { port, hash, session } = await serveOneSession(context, webwire);
  const page = await (await startBrowser(context)).open();
  const result = await page.evaluate(`(${exerciseWebTransport})(new WebTransport('https://127.0.0.1:${port}/path', {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: Uint8Array.from([${[...hash]}]) }],
  }))`);
  assert.deepEqual(result, CLOSE_INFO);
  assert.deepEqual(await session, SEEN);
});

test('aioquic to our WebTransportServer', { timeout: TIMEOUT_MS }, async (context) => {
  const files = certificateFiles(context);
  const certificate = { cert: readFileSync(files.cert), key: readFileSync(files.key), hash: files.hash };
  const { port, session } = await serveOneSession(context, webwire, certificate);
  const client = startPeer(context, 'web_transport_client.py', port, files.cert, '/path');
  await client.event('done');
  assert.deepEqual(await session, SEEN);
});

test('our WebTransport to aioquic', { timeout: TIMEOUT_MS }, async (context) => {
  const { cert, key, hash } = certificateFiles(context);
  const server = startPeer(context, 'web_transport_server.py', cert, key);
  const { port } = await server.event('listening');
  const transport = new webwire.WebTransport(`https://127.0.0.1:${port}/path`, {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
  });
  assert.deepEqual(await exerciseWebTransport(transport), CLOSE_INFO);
  assert.equal((await server.event('session')).path, '/path');
  assert.equal((await server.event('answer')).text, SEEN.answer);
  assert.deepEqual(await server.event('closed'), { event: 'closed', code: 7, reason: 'done' });
});
