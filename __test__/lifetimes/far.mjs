// The far end, in a worker thread. `workerData` is `{ api, afterwards }`. With `afterwards`, it sends nothing before a
// child process of its own has run to its end: enough for a process that nothing keeps alive to be gone.

import { spawn } from 'node:child_process';
import { parentPort, workerData } from 'node:worker_threads';
import webwire from '../../index.js';
import { apis } from '../helpers/apis.mjs';
import { portSignal } from '../helpers/signal.mjs';

const server = await apis[workerData.api].serve(webwire);
const signal = portSignal(parentPort);
server.answer(signal);
parentPort.on('message', async (message) => {
  if (message === 'later') {
    spawn(process.execPath, ['-e', '0']).on('exit', () => parentPort.postMessage('later'));
  }
  if (message === 'close') {
    await server.close();
    parentPort.close();
  }
});
parentPort.postMessage({ at: server.at });
