// ref() takes unref() back: what keeps a process alive.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import Ws from 'ws';
import { listening, roundTrips } from '../helpers/websocket-ends.mjs';

/** Runs a script in a process of its own: the lines that it prints, and its end. */
function run(t, script, ...args) {
  const child = spawn(process.execPath, ['-e', script, ...args], {
    cwd: new URL('../..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = [];
  const output = createInterface({ input: child.stdout });
  output.on('line', (line) => lines.push(line));
  return { lines, line: () => once(output, 'line').then(([line]) => line), ended: once(child, 'close') };
}

const CLIENT = `
  const webwire = require('./index.js');
  const [, name, url, ref] = process.argv;
  process.once('beforeExit', () => console.log('nothing keeps it'));
  const socket = new webwire[name](url);
  const opened = socket.opened ?? new Promise((resolve) => { socket.onopen = resolve; });
  if (socket.closed) socket.closed.then(() => console.log('closed'));
  else socket.onclose = () => console.log('closed');
  opened.then(() => {
    socket.unref();
    if (ref) socket.ref();
    console.log('open');
  });
`;

for (const name of ['WebSocket', 'WebSocketStream']) {
  test(`a ${name}: with unref() the process ends, with ref() behind it not before the connection does`, async (t) => {
    const sockets = [];
    const { url } = await listening(t, (socket) => sockets.push(socket));
    const left = run(t, CLIENT, name, url);
    await left.ended;
    assert.deepEqual(left.lines, ['open', 'nothing keeps it']);
    const held = run(t, CLIENT, name, url, 'ref');
    await held.line();
    // Meanwhile the process could end.
    await roundTrips(t);
    assert.deepEqual(held.lines, ['open']);
    sockets[1].close(1000);
    await held.ended;
    assert.deepEqual(held.lines, ['open', 'closed', 'nothing keeps it']);
  });
}

const SERVER = `
  const { WebSocketServer } = require('./index.js');
  const server = new WebSocketServer({ host: '127.0.0.1' });
  process.once('beforeExit', () => console.log('nothing keeps it'));
  server.onconnection = () => server.close({ timeoutMs: 0 }).then(() => console.log('closed'));
  server.ready.then(() => {
    server.unref();
    if (process.argv[1]) server.ref();
    console.log(server.address().port);
  });
`;

test('a server: the same', async (t) => {
  const left = run(t, SERVER);
  await left.ended;
  assert.equal(left.lines[1], 'nothing keeps it');
  const held = run(t, SERVER, 'ref');
  const port = await held.line();
  const client = new Ws(`ws://127.0.0.1:${port}`);
  client.on('error', () => {});
  await held.ended;
  assert.deepEqual(held.lines, [port, 'closed', 'nothing keeps it']);
});
