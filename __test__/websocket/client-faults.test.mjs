// A client on bad networks, with bad servers, and in want of resources.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { createCertificate } from '../helpers/certificate.mjs';
import {
  BINARY,
  CLOSE,
  CONTINUATION,
  closeBody,
  echo,
  FAILED,
  fragment,
  frame,
  frameServer,
  frames,
  heard,
  listening,
  next,
  opening,
  readUntil,
  roundTrips,
  tcpServer,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

const { cert, key } = createCertificate();

/** The error that the operator hears of a connection that must fail. */
async function failure(t, url, options) {
  const errors = new Map();
  const listener = ({ websocket, error }) => errors.set(websocket, error);
  subscribe('webwire:websocket:error', listener);
  t.after(() => unsubscribe('webwire:websocket:error', listener));
  const socket = new WebSocket(url, options);
  assert.deepEqual((await heard(socket).closed).slice(-2), FAILED);
  return errors.get(socket);
}

/** A TLS server that listens. */
async function tlsServer(t, options, serve) {
  const sockets = new Set();
  const server = createTlsServer({ cert, key, ...options }, serve);
  server.on('connection', (socket) => sockets.add(socket));
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: `wss://127.0.0.1:${server.address().port}/` };
}

test('no SYN goes to a port that Fetch blocks', async (t) => {
  const server = createServer((socket) => socket.destroy());
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  t.after(() => server.close());
  const listens = (port) =>
    new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
  const ports = [6667, 6665, 6668, 6669, 6566, 10080];
  let port;
  for (const one of ports) {
    if (await listens(one)) {
      port = one;
      break;
    }
  }
  assert.notEqual(port, undefined);
  assert.deepEqual(await heard(new WebSocket(`ws://127.0.0.1:${port}/`)).closed, FAILED);
  await once(connect(port, '127.0.0.1'), 'close');
  assert.equal(connections, 1);
});

test('names on the wire: one Host, in ASCII, whatever the URL is', async (t) => {
  const heads = [];
  const { port } = await tcpServer(t, async (socket) => {
    heads.push(await readUntil(socket, '\r\n\r\n'));
    socket.destroy();
  });
  const names = [];
  const lookup = (name, _options, callback) => {
    names.push(name);
    callback(null, '127.0.0.1', 4);
  };
  const headers = [
    [],
    [
      ['host', 'other.example'],
      ['origin', 'https://page.example'],
    ],
  ];
  for (const one of headers) {
    await next(new WebSocket(`ws://b\u00fccher.example:${port}/\u00fc\t%0d%0aX: y`, { lookup, headers: one }), 'close');
  }
  assert.deepEqual(names, ['xn--bcher-kva.example', 'xn--bcher-kva.example']);
  for (const [index, host] of [`xn--bcher-kva.example:${port}`, 'other.example'].entries()) {
    const lines = heads[index].split('\r\n');
    assert.equal(lines[0], 'GET /%C3%BC%0d%0aX:%20y HTTP/1.1');
    assert.deepEqual(
      lines.filter((line) => /^host:/i.test(line)).map((line) => line.slice(6)),
      [host],
    );
  }
  assert.match(heads[1], /^origin: https:\/\/page\.example\r$/m);
  await next(new WebSocket(`ws://127.0.0.1:${port}/a\r\nHost: b`), 'close');
  assert.match(heads[2], /^GET \/aHost:%20b HTTP\/1\.1\r\n/);
  assert.equal(heads[2].match(/^host:/gim).length, 1);
  const twice = { headers: [...headers[1], ['HOST', 'another.example']] };
  assert.throws(() => new WebSocket(`ws://127.0.0.1:${port}/`, twice), TypeError);
});

test('certificates that have expired or are for later, and a server of another protocol', async (t) => {
  const future = createCertificate({ fromDays: 1 });
  const early = await tlsServer(t, future, () => {});
  assert.equal((await failure(t, early.url, { ca: future.cert })).code, 'CERT_NOT_YET_VALID');
  const expired = createCertificate({ days: 0.5 });
  const old = await tlsServer(t, expired, () => {});
  assert.equal((await failure(t, old.url, { ca: expired.cert })).code, 'CERT_HAS_EXPIRED');
  const h2 = await tlsServer(t, { ALPNProtocols: ['h2'] }, () => {});
  const { phase, code } = await failure(t, h2.url, { ca: cert });
  assert.deepEqual([phase, code], ['tls', 'EPROTO']);
});

test('a weak key, and hosts that only the common name names', async (t) => {
  const connect = async (certificate, host, phase, code) => {
    const { url } = await tlsServer(t, { ...certificate, ciphers: 'DEFAULT@SECLEVEL=0' }, async (socket) => {
      socket.on('error', () => {});
      socket.write(opening(await readUntil(socket, '\r\n\r\n')));
    });
    const at = url.replace('127.0.0.1', host);
    if (phase === undefined) {
      await next(new WebSocket(at, { ca: certificate.cert }), 'open');
      return;
    }
    const error = await failure(t, at, { ca: certificate.cert });
    assert.deepEqual([error.phase, error.code], [phase, code]);
  };
  await connect(createCertificate({ rsaBits: 2048 }), '127.0.0.1');
  await connect(createCertificate({ rsaBits: 1024 }), '127.0.0.1', 'tls', 'CERT_REJECTED');
  for (const host of ['127.0.0.1', 'localhost']) {
    const named = createCertificate({ commonName: host, alternatives: false });
    await connect(named, host, 'tls', 'ERR_TLS_CERT_ALTNAME_INVALID');
  }
});

test('the transport ends in the middle of a frame', async (t) => {
  const piece = frame(BINARY, Buffer.alloc(1_000)).subarray(0, 500);
  const ends = {
    'FIN in a frame': (socket) => socket.end(piece),
    'FIN in a message': (socket) => socket.end(Buffer.concat([fragment(BINARY, 'a'), fragment(CONTINUATION, 'b')])),
    'RST in a frame': (socket) => socket.write(piece, () => socket.resetAndDestroy()),
  };
  for (const [name, end] of Object.entries(ends)) {
    const { url } = await frameServer(t, end);
    const { phase, code } = await failure(t, url);
    assert.equal(phase, 'transport', name);
    assert.ok(['EOF', 'ECONNRESET'].includes(code), `${name}: ${code}`);
  }
});

test('a TLS peer that stops reading and then reads on gets all', async (t) => {
  let peer;
  const { url } = await tlsServer(t, {}, async (socket) => {
    socket.write(opening(await readUntil(socket, '\r\n\r\n')));
    peer = socket;
  });
  const socket = new WebSocket(url, { ca: cert });
  await next(socket, 'open');
  const sizes = [];
  for (let index = 0; index < 200; index += 1) sizes.push((index * 7_919) % 200_000);
  for (const size of sizes) socket.send(new Uint8Array(size).fill(size));
  // Meanwhile it fills what is between its ends.
  await roundTrips(t);
  assert.ok(socket.bufferedAmount > 0);
  const { closed } = heard(socket);
  socket.close(1000);
  const heads = sizes.map((size) => (size < 126 ? 6 : size < 65_536 ? 8 : 14));
  let expected = [...sizes, ...heads].reduce((sum, length) => sum + length, 2 + 4 + 2);
  const chunks = [];
  peer.on('data', (chunk) => {
    chunks.push(chunk);
    expected -= chunk.length;
    if (expected === 0) peer.end(frame(CLOSE, closeBody(1000)));
  });
  assert.deepEqual(await closed, [['close', 1000, '', true]]);
  const received = frames(Buffer.concat(chunks));
  assert.deepEqual(
    received.map(({ first, payload }) => [first, payload.length]),
    [...sizes.map((size) => [0x80 | BINARY, size]), [0x80 | CLOSE, 2]],
  );
  assert.ok(received.slice(0, -1).every(({ payload }) => payload.every((byte) => byte === payload.length % 256)));
  assert.equal(socket.bufferedAmount, 0);
});

const onLinux = { skip: process.platform !== 'linux' && 'reads /proc' };

test('out of descriptors: those connections fail, and later ones open', onLinux, async () => {
  const script = `
    const { WebSocket, WebSocketServer } = require('./index.js');
    const { openSync, closeSync } = require('node:fs');
    (async () => {
      const server = new WebSocketServer({ host: '127.0.0.1' });
      await server.ready;
      server.addEventListener('connection', () => {});
      const url = 'ws://127.0.0.1:' + server.address().port;
      const taken = [];
      try { for (;;) taken.push(openSync('/dev/null')); } catch {}
      const socket = new WebSocket(url);
      await new Promise((resolve) => { socket.onclose = ({ code }) => resolve(console.log(code)); });
      for (const one of taken) closeSync(one);
      const later = new WebSocket(url);
      await new Promise((resolve) => { later.onopen = resolve; });
      console.log('open');
      await server.close({ timeoutMs: 0 });
    })();
  `;
  const { stdout } = await promisify(execFile)(
    'sh',
    ['-c', 'ulimit -n 64; exec "$0" -e "$1"', process.execPath, script],
    {
      cwd: new URL('../..', import.meta.url),
    },
  );
  assert.equal(stdout, '1006\nopen\n');
});

test('child processes get none of our descriptors', onLinux, async (t) => {
  const socket = new WebSocket((await listening(t, echo)).url);
  await next(socket, 'open');
  const { stdout } = await promisify(execFile)('ls', ['-l', '/proc/self/fd']);
  assert.doesNotMatch(stdout.replace(/ [012] -> .*/g, ''), /socket:/);
  socket.close();
});
