// A peer whose process is killed, or stopped for a while: nothing says goodbye.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import webwire from '../../index.js';
import { startUdpProxy } from '../helpers/udp-proxy.mjs';
import { connect, next, startServer, writeAll } from './pair.mjs';

const { WebTransportError } = webwire;
/** It is to pass, and long enough for the handshake on a busy machine. */
const IDLE = { idleTimeoutMs: 3000 };

const isSessionError = (error) => error instanceof WebTransportError && error.source === 'session';

function startProcess(context, role) {
  const child = fork(new URL('other-process.mjs', import.meta.url), [role]);
  context.after(() => child.kill('SIGKILL'));
  return child;
}

/** Our session with a server in another process. */
async function connectToProcess(context, options, through = async (port) => port) {
  const child = startProcess(context, 'server');
  const [{ port, hash }] = await once(child, 'message');
  const client = connect({ url: `https://127.0.0.1:${await through(port)}/`, hash: Uint8Array.from(hash) }, options);
  await client.ready;
  await next(await next(client.incomingUnidirectionalStreams));
  return { child, client };
}

test('a server that is killed: the session fails at the idle timeout', async (context) => {
  const { child, client } = await connectToProcess(context, IDLE);
  const stream = await client.createBidirectionalStream();
  const reading = stream.readable.getReader().read();
  child.kill('SIGKILL');
  await assert.rejects(client.closed, isSessionError);
  await assert.rejects(reading, isSessionError);
});

test('a client that is killed: its session fails at the idle timeout, the server goes on', async (context) => {
  const listener = await startServer(context, IDLE);
  const child = startProcess(context, 'client');
  child.send({ url: listener.url, hash: [...listener.hash] });
  const session = await (await listener.request()).accept();
  await next(await next(session.incomingUnidirectionalStreams));
  child.kill('SIGKILL');
  await assert.rejects(session.closed, isSessionError);
  const client = connect(listener);
  await (await listener.request()).accept();
  await client.ready;
  client.close();
});

test('a server that is stopped, and goes on within the idle timeout', async (context) => {
  let proxy;
  const { child, client } = await connectToProcess(context, {}, async (port) => {
    proxy = await startUdpProxy(context, port);
    return proxy.port;
  });
  child.kill('SIGSTOP');
  const writing = writeAll(await client.createUnidirectionalStream(), Uint8Array.of(1));
  // The first packet, and what is tried again.
  for (let count = 0; count < 6; count += 1) await once(proxy.events, 'up');
  child.kill('SIGCONT');
  await writing;
  client.close();
});
