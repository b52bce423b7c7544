// WebSocket against Chromium, Firefox and Python's `websockets`, all with permessage-deflate and without it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { startBrowser } from './browser.mjs';
import { startPeer } from './counterpart.mjs';
import { exerciseWebSocket } from './exercises.mjs';
import { startFirefox } from './firefox.mjs';
import { serveWebSocketEcho } from './servers.mjs';
import { TIMEOUT_MS } from './timeout.mjs';

const CLOSED = { code: 3333, reason: 'done', wasClean: true, protocol: 'webwire-test' };

/** What compression is called by the package, and the name of the extension when it is agreed. */
const COMPRESSIONS = [
  ['deflate', ['permessage-deflate']],
  ['none', []],
];

/** The names of the extensions in use. */
function extensionsOf({ extensions }) {
  return extensions === '' ? [] : extensions.split(',').map((one) => one.split(';')[0].trim());
}

for (const [compression, extensions] of COMPRESSIONS) {
  const perMessageDeflate = compression === 'deflate';

  test(`Chromium to our WebSocketServer, compression: ${compression}`, { timeout: TIMEOUT_MS }, async (context) => {
    const accepted = [];
    const port = await serveWebSocketEcho(context, webwire, { perMessageDeflate, accepted });
    const page = await (await startBrowser(context)).open();
    const result = await page.evaluate(`(${exerciseWebSocket})(WebSocket, 'ws://127.0.0.1:${port}')`);
    assert.deepEqual(result, CLOSED);
    assert.deepEqual(accepted.map(extensionsOf), [extensions]);
  });

  test(`Firefox to our WebSocketServer, compression: ${compression}`, { timeout: TIMEOUT_MS }, async (context) => {
    const accepted = [];
    const port = await serveWebSocketEcho(context, webwire, { perMessageDeflate, accepted });
    const exercise = `(${exerciseWebSocket})(WebSocket, 'ws://127.0.0.1:${port}')`;
    assert.deepEqual(await (await startFirefox(context)).evaluate(exercise), CLOSED);
    assert.deepEqual(accepted.map(extensionsOf), [extensions]);
  });

  test(`websockets to our WebSocketServer, compression: ${compression}`, { timeout: TIMEOUT_MS }, async (context) => {
    const accepted = [];
    const port = await serveWebSocketEcho(context, webwire, { perMessageDeflate: true, accepted });
    const client = startPeer(context, 'web_socket.py', 'client', compression, String(port));
    assert.deepEqual(await client.event('open'), { event: 'open', protocol: 'webwire-test', extensions });
    assert.deepEqual(await client.event('closed'), { event: 'closed', code: 3333, reason: 'done' });
    assert.deepEqual(accepted.map(extensionsOf), [extensions]);
  });

  test(`our WebSocket to websockets, compression: ${compression}`, { timeout: TIMEOUT_MS }, async (context) => {
    const server = startPeer(context, 'web_socket.py', 'server', compression);
    const { port } = await server.event('listening');
    assert.deepEqual(await exerciseWebSocket(webwire.WebSocket, `ws://127.0.0.1:${port}`), CLOSED);
    assert.deepEqual(await server.event('open'), { event: 'open', protocol: 'webwire-test', extensions });
    assert.deepEqual(await server.event('closed'), { event: 'closed', code: 3333, reason: 'done' });
  });
}
