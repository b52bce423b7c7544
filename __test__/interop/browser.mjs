// Chromium, headless, with a page of its own: the functions of exercises.mjs run in it against a counterpart.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { signalPair } from '../helpers/signal.mjs';

/** Starts Chromium with a fresh profile; ends with the test `context`. The page is a secure context, for WebTransport. `args` are more options of the command. */
export async function startBrowser(context, ...args) {
  const profile = mkdtempSync(path.join(tmpdir(), 'webwire-chromium-'));
  const site = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>webwire interop</title>');
  });
  await new Promise((resolve) => {
    site.listen(0, '127.0.0.1', resolve);
  });
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.WEBWIRE_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    ignoreDefaultArgs: ['--disable-quic'],
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-features=WebRtcHideLocalIpsWithMdns',
      ...args,
    ],
  });
  context.after(async () => {
    await browser.close();
    site.close();
    rmSync(profile, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${site.address().port}/`;
  return {
    /** Opens a page; `url` defaults to an empty page of our own site. */
    async open(address = url) {
      const page = await browser.newPage();
      await page.goto(address);
      return page;
    },
    close: () => browser.close(),
  };
}

/**
 * Runs one of offerDataChannel and answerDataChannel in the page. Returns our end of its signalling, and a promise of
 * the function's result.
 */
export async function runPeerConnection(page, exercise) {
  const [signal, far] = signalPair();
  await page.exposeFunction('signalOut', (message) => far.send(message));
  await page.evaluate(() => {
    globalThis.signal = { send: (message) => globalThis.signalOut(message) };
  });
  const result = page.evaluate(`(${exercise})(new RTCPeerConnection(), globalThis.signal)`);
  far.onmessage = (message) => page.evaluate((value) => globalThis.signal.onmessage(value), message);
  return { signal, result };
}
