// npm run demo: a real file over WebSocket, WebTransport and an RTCPeerConnection's data channel, there and back.
//
//   --file PATH   another file than webwire's own native core
//   --browser     serves a page with which your browser does the same against Node
//
// Exit code 0 only if all three transfers arrived whole, both ways.
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { RTCPeerConnection, WebSocket, WebTransport } from 'webwire';
import { servePage } from './browser.mjs';
import { ProgressBar, table } from './terminal.mjs';
import { transfers } from './transfers.mjs';

const STALLED_MS = 20_000;
const CLOSE_MS = 5_000;
const LARGEST = 1 << 30;
const SECURED_BY = {
  WebSocket: 'TLS 1.3',
  WebTransport: 'QUIC, TLS 1.3, certificate hash',
  RTCDataChannel: 'DTLS 1.2, fingerprints in the SDP',
};

const { values: options } = parseArgs({
  options: { file: { type: 'string' }, browser: { type: 'boolean', default: false } },
});
const path = options.file ? resolve(process.env.INIT_CWD ?? '.', options.file) : ownCore();
const file = statSync(path, { throwIfNoEntry: false });
if (!file?.isFile() || file.size === 0 || file.size > LARGEST) {
  console.error(`demo: ${path}: a file of 1 byte to 1 GiB is wanted`);
  process.exit(2);
}

const worker = new Worker(new URL('peers.mjs', import.meta.url), { workerData: { path, tls: !options.browser } });
const [peers] = await once(worker, 'message');
if (options.browser) await servePage(peers, basename(path));
else {
  process.exitCode = (await runInNode(peers)) ? 0 : 1;
  worker.postMessage('end');
  const late = setTimeout(() => worker.terminate(), CLOSE_MS);
  await once(worker, 'exit');
  clearTimeout(late);
}

/** Runs the three transfers from this thread; true if all arrived whole. */
async function runInNode({ at, file }) {
  console.log(`${basename(path)}, ${(file.size / 1e6).toFixed(1)} MB, there and back between two threads\n`);
  const rows = [];
  for (const [api, transfer] of Object.entries(transfers)) {
    const bar = new ProgressBar(api);
    try {
      const classes = { WebSocket, WebTransport, RTCPeerConnection };
      const figures = await unlessStalled((alive) =>
        transfer(classes, at, file, (part) => {
          alive();
          bar.show(part);
        }),
      );
      rows.push({ api, securedBy: SECURED_BY[api], ...figures });
      bar.end(figures.verified ? 'SHA-256 equal both ways' : 'SHA-256 differs');
    } catch (error) {
      rows.push({ api, securedBy: SECURED_BY[api], verified: false });
      bar.end(`failed: ${error.message}`);
    }
  }
  console.log(`\n${table(rows)}\n\nSHA-256 ${file.sha256}`);
  return rows.every(({ verified }) => verified);
}

/** Runs `work`, which calls what it is given as long as it goes on. */
async function unlessStalled(work) {
  let timer;
  const stalled = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing moved for ${STALLED_MS / 1e3} s`)), STALLED_MS);
  });
  try {
    return await Promise.race([work(() => timer.refresh()), stalled]);
  } finally {
    clearTimeout(timer);
  }
}

/** webwire's own native core: a real file of some MB that is always there. */
function ownCore() {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const name = readdirSync(root).find((entry) => /^webwire\..*\.node$/.test(entry));
  if (!name) throw new Error('the native core is not built: npm run build');
  return join(root, name);
}
