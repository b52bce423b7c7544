// Firefox, headless, with a page of its own, which runs what it is told and sends home what that resolves to.

import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
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

/** Asks for a script, runs it, and says what it gave, for ever. */
const PAGE = `<!doctype html><title>webwire interop</title><script type="module">
  for (;;) {
    const script = await (await fetch('/next')).text();
    const result = await (0, eval)(script).then((value) => ({ value }), (error) => ({ error: String(error) }));
    await fetch('/', { method: 'POST', body: JSON.stringify(result) });
  }
</script>`;

/** Starts Firefox with a fresh profile; ends with the test `context`. The page is a secure context, for WebTransport. */
export async function startFirefox(context) {
  const profile = mkdtempSync(path.join(tmpdir(), 'webwire-firefox-'));
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
  writeFileSync(path.join(profile, 'user.js'), lines.join(''));
  const events = new EventEmitter();
  // The page's question for the next script.
  let asked;
  const site = createServer(async (request, response) => {
    response.setHeader('content-type', 'text/html');
    if (request.url === '/next') {
      asked = response;
      events.emit('asked');
      return;
    }
    if (request.method === 'POST') events.emit('result', JSON.parse(await text(request)));
    response.end(PAGE);
  });
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${site.address().port}/`;
  const program = process.env.WEBWIRE_FIREFOX ?? '/usr/bin/firefox-esr';
  const child = spawn(program, ['--headless', '--no-remote', '--profile', profile, address], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('close', resolve));
  const failed = Promise.race([
    once(child, 'error').then(([error]) => Promise.reject(error)),
    ended.then((code) => Promise.reject(new Error(`Firefox ended with ${code}`))),
  ]);
  failed.catch(() => {});
  context.after(async () => {
    child.kill();
    await ended;
    site.close();
    site.closeAllConnections();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  return {
    /** Evaluates the expression `script`, a promise, in the page; resolves to its value. One at a time. */
    async evaluate(script) {
      while (asked === undefined) await Promise.race([once(events, 'asked'), failed]);
      const result = once(events, 'result');
      asked.end(script);
      asked = undefined;
      const [{ value, error }] = await Promise.race([result, failed]);
      if (error !== undefined) throw new Error(error);
      return value;
    },
  };
}
