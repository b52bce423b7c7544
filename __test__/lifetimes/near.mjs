// The near end, in a worker thread that is to be ended in some state. `workerData` is `{ api, at, state }`; `'now'` says
// that the state is reached.

import { parentPort, workerData } from 'node:worker_threads';
import webwire from '../../index.js';
import { apis } from '../helpers/apis.mjs';
import { portSignal } from '../helpers/signal.mjs';

const { api, at, state } = workerData;
const MODES = { sending: 'sink', receiving: 'flood' };

const connection = apis[api].connect(webwire, at, MODES[state] ?? 'echo', portSignal(parentPort));
if (state === 'connecting') {
  // Whatever becomes of it: the thread is ended.
  connection.opened.catch(() => {});
} else {
  await connection.opened;
  if (state === 'sending') await connection.pour();
  if (state === 'receiving') await connection.drink();
  if (state === 'closing') connection.close();
  if (state === 'unref') {
    // Nothing keeps this thread now: it ends by itself, with the connection open.
    connection.object.unref();
    parentPort.unref();
  }
  if (state === 'closed') {
    await connection.echo('text');
    connection.close();
    parentPort.unref();
  }
}
if (state === 'exit') process.exit(0);
parentPort.postMessage('now');
