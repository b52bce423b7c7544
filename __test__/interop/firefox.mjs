// Firefox, headless, with a page of its own, which runs a function and sends home what it resolves to.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';

/** Nothing asks the network, nothing asks the user. */
const PREFERENCES = {
  'app.update.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,',
  'toolkit.telemetry.enabled': false,
};

/** Evaluates the expression `script`, a promise, in a page; resolves to its value. Ends with the test `context`. */
export async function evaluateInFirefox(context, script) {
  const profile = mkdtempSync(path.join(tmpdir(), 'webwire-firefox-'));
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
  writeFileSync(path.join(profile, 'user.js'), lines.join(''));
  let answer;
  let fail;
  const answered = new Promise((resolve, reject) => {
    answer = resolve;
    fail = reject;
  });
  const site = createServer(async (request, response) => {
    if (request.method === 'POST') answer(JSON.parse(await text(request)));
    response.setHeader('content-type', 'text/html');
    response.end(`<!doctype html><title>webwire interop</title><script type="module">
      const result = await (${script}).then((value) => ({ value }), (error) => ({ error: String(error) }));
      await fetch('/', { method: 'POST', body: JSON.stringify(result) });
    </script>`);
  });
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${site.address().port}/`;
  const program = process.env.WEBWIRE_FIREFOX ?? '/usr/bin/firefox-esr';
  const child = spawn(program, ['--headless', '--no-remote', '--profile', profile, address], { stdio: 'ignore' });
  child.on('error', fail);
  const ended = new Promise((resolve) => child.on('close', resolve));
  ended.then((code) => fail(new Error(`Firefox ended with ${code}`)));
  context.after(async () => {
    child.kill();
    await ended;
    site.close();
    site.closeAllConnections();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const { value, error } = await answered;
  if (error !== undefined) throw new Error(error);
  return value;
}
