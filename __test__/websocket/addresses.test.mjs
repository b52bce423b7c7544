// Where a connection goes to and comes from: the options `lookup` and `localAddress`, and several addresses of a name.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { createCertificate } from '../helpers/certificate.mjs';
import {
  echo,
  FAILED,
  failure,
  heard,
  listening,
  next,
  opening,
  readUntil,
  tcpServer,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

/** A server that opens every connection. */
const opener = (t) =>
  tcpServer(t, async (socket) => {
    socket.write(opening(await readUntil(socket, '\r\n\r\n')));
  });

async function opens(url, options) {
  const socket = new WebSocket(url, options);
  await next(socket, 'open');
  socket.close();
  return socket;
}

test('lookup is asked for the name, as net.connect asks', async (t) => {
  const { port } = await opener(t);
  const calls = [];
  const lookup = (...args) => {
    calls.push(args.slice(0, 2));
    setImmediate(args[2], null, [{ address: '127.0.0.1', family: 4 }]);
  };
  const socket = await opens(`ws://no.such.name.invalid:${port}/`, { lookup });
  assert.deepEqual(calls, [['no.such.name.invalid', { all: true, family: 0, hints: 0 }]]);
  assert.equal(socket.url, `ws://no.such.name.invalid:${port}/`);
});

test('lookup may answer at once, with one address, with dead ones before it', async (t) => {
  const { port } = await opener(t);
  const url = `ws://name.invalid:${port}/`;
  await opens(url, { lookup: (_name, _options, callback) => callback(null, '127.0.0.1', 4) });
  const several = ['::1', '127.0.0.2', '127.0.0.1'].map((address) => ({
    address,
    family: address.includes(':') ? 6 : 4,
  }));
  await opens(url, { lookup: (_name, _options, callback) => callback(null, several) });
  await opens(`ws://localhost:${port}/`, { lookup: dns.lookup });
});

/** Listens at this port, says so, and accepts nobody: it never comes to it. */
const DEAF = `
  require('node:net').createServer().listen({ host: '127.0.0.2', port: process.argv[1], backlog: 1 }, () => {
    require('node:fs').writeSync(1, 'listens\\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** How many connections wait at a listening socket to be accepted. https://docs.kernel.org/networking/proc_net_tcp.html */
function backlog(port) {
  const local = `0200007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  const [, , , , queues] = lines
    .map((line) => line.trim().split(/\s+/))
    .find(([, at, , st]) => at === local && st === '0A');
  return Number.parseInt(queues.split(':')[1], 16);
}

test('where the first address swallows all that is sent to it, the next one opens', {
  skip: process.platform !== 'linux' && 'Linux drops what comes to a full queue',
}, async (t) => {
  const { url, port, connections } = await opener(t);
  const deaf = spawn(process.execPath, ['-e', DEAF, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => deaf.kill('SIGKILL'));
  await once(createInterface({ input: deaf.stdout }), 'line');
  const fill = () => {
    const socket = connect(port, '127.0.0.2').on('error', () => {});
    t.after(() => socket.destroy());
    return socket;
  };
  // Its queue has room for one more than it says.
  for (let length = 1; length <= 2; length += 1) {
    await once(fill(), 'connect');
    while (backlog(port) < length) await new Promise(setImmediate);
  }
  const swallowed = fill();
  swallowed.on('connect', () => assert.fail('it answers'));
  const lookup = (_name, _options, callback) =>
    callback(null, [
      { address: '127.0.0.2', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ]);
  await opens(url.replace('127.0.0.1', 'name.invalid'), { lookup });
  assert.equal(swallowed.connecting, true);
  assert.equal(backlog(port), 2);
  assert.equal(connections(), 1);
  // Alone it never opens: the time for all is up.
  const alone = (_name, _options, callback) => callback(null, '127.0.0.2', 4);
  const { phase, code } = await failure(t, url.replace('127.0.0.1', 'name.invalid'), {
    lookup: alone,
    handshakeTimeoutMs: 1000,
  });
  assert.deepEqual([phase, code], ['connect', 'ETIMEDOUT']);
});

test('lookup is not asked for an address', async (t) => {
  const { url } = await opener(t);
  const lookup = () => assert.fail('asked');
  await opens(url, { lookup });
});

test('the certificate is for the name, not for the address that lookup found', async (t) => {
  const { cert, key } = createCertificate({ names: ['name.invalid'] });
  const { port } = await listening(t, echo, { cert, key });
  const lookup = (_name, _options, callback) => callback(null, '127.0.0.1', 4);
  await opens(`wss://name.invalid:${port}/`, { ca: cert, lookup });
  const { phase, code } = await failure(t, `wss://other.invalid:${port}/`, { ca: cert, lookup });
  assert.deepEqual([phase, code], ['tls', 'ERR_TLS_CERT_ALTNAME_INVALID']);
});

test('what goes wrong in lookup fails the connection', async (t) => {
  const { url, connections } = await tcpServer(t, (socket) => socket.destroy());
  const named = url.replace('127.0.0.1', 'name.invalid');
  const wrong = [
    (_name, _options, callback) => callback(new Error('enough')),
    () => {
      throw new Error('enough');
    },
    (_name, _options, callback) => callback(null, []),
    (_name, _options, callback) => callback(null),
    (_name, _options, callback) => callback(null, 'localhost'),
    (_name, _options, callback) => callback(null, [{ address: '127.0.0.1' }, { address: undefined }]),
    (_name, _options, callback) => callback(null, [null]),
    (_name, _options, callback) => callback(null, 7),
    (_name, _options, callback) => setImmediate(callback, null, [null]),
    (_name, _options, callback) => setImmediate(callback, Symbol('no error')),
    // What can't become a string.
    () => {
      throw Object.create(null);
    },
    (_name, _options, callback) => setImmediate(callback, Object.create(null)),
  ];
  for (const lookup of wrong) {
    const { phase, code } = await failure(t, named, { lookup });
    assert.deepEqual([phase, code], ['dns', 'ERR_LOOKUP'], String(lookup));
  }
  // Never an answer: the time for the handshake counts it in.
  const silent = await failure(t, named, { lookup: () => {}, handshakeTimeoutMs: 50 });
  assert.deepEqual([silent.phase, silent.code], ['dns', 'ETIMEDOUT']);
  assert.equal(connections(), 0);
});

test('an answer of lookup after close() or after another one is not heard', async (t) => {
  const { port, connections } = await opener(t);
  let answer;
  const lookup = (_name, _options, callback) => {
    answer = callback;
  };
  const socket = new WebSocket(`ws://name.invalid:${port}/`, { lookup });
  socket.close();
  assert.deepEqual(await heard(socket).closed, FAILED);
  answer(null, '127.0.0.1', 4);
  await opens(`ws://name.invalid:${port}/`, {
    lookup(_name, _options, callback) {
      callback(null, '127.0.0.1', 4);
      callback(new Error('again'));
    },
  });
  assert.equal(connections(), 1);
});

test('localAddress', async (t) => {
  const { server, url, port } = await opener(t);
  if (process.platform === 'linux') {
    const connected = once(server, 'connection');
    await opens(url, { localAddress: '127.0.0.3' });
    const [socket] = await connected;
    assert.equal(socket.remoteAddress, '127.0.0.3');
  }
  const absent = await failure(t, url, { localAddress: '192.0.2.1' });
  assert.deepEqual([absent.code, absent.syscall], ['EADDRNOTAVAIL', 'bind']);
  const family = await failure(t, url, { localAddress: '::1' });
  assert.deepEqual([family.phase, family.code], ['connect', 'EADDRNOTAVAIL']);
  // Of ::1 and 127.0.0.1 only the second one is tried.
  await opens(`ws://localhost:${port}/`, { localAddress: '127.0.0.1' });
});
