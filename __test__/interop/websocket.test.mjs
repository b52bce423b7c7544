// WebSocket against Chromium.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { startBrowser } from './browser.mjs';
import { exerciseWebSocket } from './exercises.mjs';
import { serveWebSocketEcho } from './servers.mjs';
import { TIMEOUT_MS } from './timeout.mjs';

test('Chromium to our WebSocketServer', { timeout: TIMEOUT_MS }, async (context) => {
  const port = await serveWebSocketEcho(context, webwire);
  const page = await (await startBrowser(context)).open();
  const result = await page.evaluate(`(${exerciseWebSocket})(WebSocket, 'ws://127.0.0.1:${port}')`);
  assert.deepEqual(result, { code: 3333, reason: 'done', wasClean: true, protocol: 'webwire-test' });
});
