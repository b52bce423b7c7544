// Two sessions on one connection, in a worker that ends somehow: pooling.test.mjs. Told to wait, it has only asked for them.

import { parentPort, workerData } from 'node:worker_threads';
import webwire from '../../index.js';

const { url, cert, waits } = workerData;
const clients = [0, 1].map(() => new webwire.WebTransport(url, { allowPooling: true, ca: cert }));
for (const client of clients) client.closed.catch(() => {});
parentPort.postMessage('now');
if (!waits) {
  for (const client of clients) {
    const writer = (await client.createUnidirectionalStream()).getWriter();
    // It goes on for ever.
    writer.write(new Uint8Array(1)).catch(() => {});
  }
}
