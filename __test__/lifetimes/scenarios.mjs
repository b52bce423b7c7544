// What is run in a child process of its own, one scenario each: node scenarios.mjs API SCENARIO. It must end by itself
// with exit code 0, after the word `done`.

import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import webwire from '../../index.js';
import { apis, openPair } from '../helpers/apis.mjs';
import { sockets } from '../helpers/descriptors.mjs';
import { portSignal } from '../helpers/signal.mjs';

/** The soak wants more. */
const ROUNDS = Number(process.env.WEBWIRE_ROUNDS ?? 50);
const [, , name, scenario, argument] = process.argv;
const api = apis[name];

const done = () => console.log('done');

/** A connection of this thread to a far end in a worker thread, which alone keeps no process alive. */
async function connectToWorker(mode = 'echo') {
  const far = new Worker(new URL('far.mjs', import.meta.url), { workerData: { api: name } });
  const [{ at }] = await once(far, 'message');
  const connection = api.connect(webwire, at, mode, portSignal(far));
  await connection.opened;
  far.unref();
  return { far, connection };
}

/** Ends ROUNDS worker threads, one after the other, in this state of their connection. No socket stays. */
async function endWorkers(state, end) {
  const before = sockets();
  const server = await api.serve(webwire);
  for (let round = 0; round < ROUNDS; round += 1) {
    const worker = new Worker(new URL('near.mjs', import.meta.url), {
      workerData: { api: name, at: server.at, state },
    });
    const exited = once(worker, 'exit');
    server.answer(portSignal(worker));
    await end(worker, exited);
    await exited;
  }
  await server.close();
  // The native core closes them in threads of its own.
  while (sockets() > before) await new Promise(setImmediate);
  done();
}

/** Resolves at the worker's word that its state is reached. */
function reached(worker) {
  return new Promise((resolve, reject) => {
    worker.on('message', (message) => {
      if (message === 'now') resolve();
    });
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error('the worker ended too early')));
  });
}

const scenarios = {
  async terminate() {
    await endWorkers(argument, async (worker) => {
      await reached(worker);
      await worker.terminate();
    });
  },

  /** The worker ends without help, and without an error. */
  async 'worker-ends'() {
    await endWorkers(argument, async (_worker, exited) => {
      const [code] = await exited;
      if (code !== 0) throw new Error(`the worker ended with ${code}`);
    });
  },

  async 'exit-in-traffic'() {
    const { connection } = await openPair(api, webwire, argument === 'sending' ? 'sink' : 'flood');
    await (argument === 'sending' ? connection.pour() : connection.drink());
    done();
    process.exit(0);
  },

  /** Nothing but the end of both ends is needed. */
  async 'natural-exit'() {
    const pair = await openPair(api, webwire);
    await pair.connection.echo('text');
    await pair.close();
    done();
  },

  /** The process lives on an open connection alone: what the far end says much later still arrives. */
  async 'open-keeps'() {
    const { far, connection } = await connectToWorker();
    far.postMessage('later');
    far.on('message', async (message) => {
      if (message !== 'later') return;
      await connection.echo('text');
      connection.close();
      done();
    });
  },

  async 'unref-lets-go'() {
    const { connection } = await connectToWorker();
    await connection.echo('text');
    connection.object.unref();
    process.on('exit', done);
  },

  /** A listening server keeps the process until unref(). */
  async 'server-unref'() {
    const server = await api.serve(webwire);
    server.object?.unref();
    process.on('exit', done);
  },

  /** Objects that nothing refers to are collected, and their connections end. */
  async collected() {
    const { gc } = await import('../helpers/garbage.mjs');
    const references = [];
    for (let count = 0; count < 10; count += 1) {
      references.push(await openAndDrop());
    }
    while (references.some((reference) => reference.deref() !== undefined)) {
      // In a turn of its own: what deref() has shown is kept to the end of the turn.
      await new Promise(setImmediate);
      gc();
      await new Promise(setImmediate);
    }
    process.on('exit', done);
  },

  async panic() {
    const { far, connection } = await connectToWorker();
    const { hub } = createRequire(import.meta.url)('../../dist/hub.js');
    hub.native.panicAtNextEvent(api.provoked);
    const closed = connection.closed();
    connection.provoke();
    await closed;
    const { connection: another, far: other } = await connectToWorker();
    if ((await another.echo('text')) !== 'text') throw new Error('no echo after the panic');
    another.close();
    far.terminate();
    other.terminate();
    process.on('exit', done);
  },

  async copies() {
    const { checkCopies } = await import('./copies.mjs');
    await checkCopies(api);
    done();
  },
};

/** Opens a connection and keeps nothing of it but a WeakRef. */
async function openAndDrop() {
  const { connection } = await connectToWorker();
  connection.forget();
  return new WeakRef(connection.object);
}

process.on('unhandledRejection', (error) => {
  console.error('unhandled rejection:', error);
  process.exit(1);
});
await scenarios[scenario]();
