// Two sessions on one connection, in a worker that ends somehow: pooling.test.mjs.

import { workerData } from 'node:worker_threads';
import webwire from '../../index.js';

const { url, cert } = workerData;
for (let count = 0; count < 2; count += 1) {
  const client = new webwire.WebTransport(url, { allowPooling: true, ca: cert });
  const writer = (await client.createUnidirectionalStream()).getWriter();
  // It goes on for ever.
  writer.write(new Uint8Array(1)).catch(() => {});
  client.closed.catch(() => {});
}
