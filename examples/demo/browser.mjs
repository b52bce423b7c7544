// npm run demo -- --browser: one page over http://localhost that holds all it needs.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const IMPORT = "import { transfers } from './transfers.mjs';";
const CONFIGURATION = '/* configuration */';

/** Serves the page until the process is ended; prints where it is. */
export async function servePage(peers, fileName) {
  const [page, transfers] = await Promise.all(
    ['page.html', 'transfers.mjs'].map((name) => readFile(new URL(name, import.meta.url), 'utf8')),
  );
  // In the page the text of the module stands where the import was. No `<` of JSON can end the script.
  const configuration = JSON.stringify({ ...peers, fileName }).replaceAll('<', '\\u003c');
  const whole = page
    .replace(IMPORT, () => transfers)
    .replace(CONFIGURATION, () => `const configuration = ${configuration};`);
  const server = createServer((request, response) => {
    if (request.url !== '/') {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      // An isolated page has a clock of 5 µs instead of 100.
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    });
    response.end(whole);
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  console.log(`Open http://localhost:${server.address().port}/ in a browser on this machine. Ctrl+C ends it.`);
}
