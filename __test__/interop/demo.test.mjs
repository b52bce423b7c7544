// The page of `npm run demo -- --browser`, in Chromium: its three transfers against Node.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { startBrowser } from './browser.mjs';
import { TIMEOUT_MS } from './timeout.mjs';

test('the demo page moves the file over all three APIs, both ways', { timeout: TIMEOUT_MS }, async (context) => {
  const root = path.resolve(import.meta.dirname, '../..');
  const demo = spawn(process.execPath, ['examples/demo/main.mjs', '--browser'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(demo, 'exit');
  context.after(async () => {
    demo.kill();
    await exited;
  });
  const address = (async () => {
    for await (const line of createInterface({ input: demo.stdout })) {
      const [url] = line.match(/http:\/\/\S+/) ?? [];
      if (url) return url;
    }
    throw new Error('the demo named no address');
  })();
  const page = await (await startBrowser(context)).open(await address);
  await page.waitForFunction('globalThis.demoResult !== undefined', undefined, { timeout: 0 });
  const { verified, results } = await page.evaluate('globalThis.demoResult');
  assert.deepEqual(
    results.map(({ api, verified: whole, error }) => ({ api, whole, error })),
    ['WebSocket', 'WebTransport', 'RTCDataChannel'].map((api) => ({ api, whole: true, error: undefined })),
  );
  assert.equal(verified, true);
});
