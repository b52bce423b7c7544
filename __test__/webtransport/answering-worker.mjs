// A server in a worker that accepts one request, and says so, when the client's network core has the answer: session.test.mjs.

import { parentPort, workerData } from 'node:worker_threads';
import webwire from '../../index.js';

const { cert, key, answered } = workerData;
const server = new webwire.WebTransportServer({ host: '127.0.0.1', cert, key });
await server.ready;
parentPort.postMessage(server.address().port);
for await (const request of server) {
  const session = await request.accept({ protocol: 'a', headers: { 'x-a': 'b' } });
  // What is sent behind the answer has been acknowledged.
  const writer = (await session.createUnidirectionalStream()).getWriter();
  await writer.write(new Uint8Array(1));
  await writer.close();
  Atomics.store(answered, 0, 1);
  Atomics.notify(answered, 0);
  await session.closed;
  break;
}
await server.close({ timeoutMs: 0 });
parentPort.postMessage('closed');
