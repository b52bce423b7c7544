// What the operator hears of failures and scripts do not: channels and NODE_DEBUG.
// https://websockets.spec.whatwg.org/#feedback-from-the-protocol

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createCertificate } from '../helpers/certificate.mjs';
import {
  FAILED,
  frame,
  frameServer,
  heard,
  listening,
  next,
  opening,
  readUntil,
  tcpServer,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

/** Collects what is published for one socket, with the events of its script between. */
function published(t, ...names) {
  const messages = [];
  for (const name of names) {
    const listener = (message) => messages.push([name, message]);
    subscribe(`webwire:websocket:${name}`, listener);
    t.after(() => unsubscribe(`webwire:websocket:${name}`, listener));
  }
  return messages;
}

/** The error that a failing socket's operator gets; its script gets none. */
async function reason(t, url, options) {
  const messages = published(t, 'error');
  const socket = new WebSocket(url, options);
  const { events, closed } = heard(socket);
  await closed;
  assert.deepEqual(events.slice(-2), FAILED);
  const [[, { websocket, error, ...rest }]] = messages.filter(([, message]) => message.websocket === socket);
  assert.equal(websocket, socket);
  assert.ok(error instanceof Error);
  return { ...error, ...rest };
}

async function closedPort() {
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address();
  gone.close();
  await once(gone, 'close');
  return port;
}

test('open and close', async (t) => {
  const { url } = await listening(t, (socket) => socket.close(3000, 'enough'));
  const messages = published(t, 'open', 'close', 'error');
  const socket = new WebSocket(url);
  socket.onopen = () => messages.push(['the script hears open']);
  await next(socket, 'close');
  const ours = messages.filter(([, message]) => message === undefined || message.websocket === socket);
  assert.deepEqual(ours, [
    ['open', { websocket: socket, url, protocol: '', extensions: socket.extensions }],
    ['the script hears open'],
    ['close', { websocket: socket, url, code: 3000, reason: 'enough', wasClean: true }],
  ]);
});

test('a refused connection', async (t) => {
  const port = await closedPort();
  const { code, phase, syscall, address, ...error } = await reason(t, `ws://127.0.0.1:${port}/`);
  assert.deepEqual(
    [phase, code, syscall, address, error.port],
    ['connect', 'ECONNREFUSED', 'connect', '127.0.0.1', port],
  );
});

test('an unknown host', async (t) => {
  const { phase, code, syscall } = await reason(t, 'ws://nowhere.invalid/');
  assert.deepEqual([phase, code, syscall], ['dns', 'ENOTFOUND', 'getaddrinfo']);
});

test('a blocked port', async (t) => {
  const { phase, code } = await reason(t, 'ws://127.0.0.1:25/');
  assert.deepEqual([phase, code], ['connect', 'ERR_BLOCKED_PORT']);
});

test('certificates', async (t) => {
  const trusted = createCertificate({ names: ['example.com'] });
  const { port } = await listening(t, () => {}, trusted);
  const url = `wss://localhost:${port}/`;
  const unknown = await reason(t, url);
  assert.deepEqual([unknown.phase, unknown.code], ['tls', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE']);
  const misnamed = await reason(t, url, { ca: trusted.cert });
  assert.deepEqual([misnamed.phase, misnamed.code], ['tls', 'ERR_TLS_CERT_ALTNAME_INVALID']);
  const plain = await tcpServer(t, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const noTls = await reason(t, `wss://127.0.0.1:${plain.port}/`);
  assert.deepEqual([noTls.phase, noTls.code], ['tls', 'EPROTO']);
});

test('answers', async (t) => {
  const answers = [
    [() => 'HTTP/1.1 404 Not Found\r\n\r\n', { code: 'ERR_HANDSHAKE_STATUS', status: 404 }],
    [(head) => opening(head).replace(/Accept: ./, 'Accept: '), { code: 'ERR_HANDSHAKE_ACCEPT' }],
    [(head) => opening(head, ['Sec-WebSocket-Protocol: a']), { code: 'ERR_HANDSHAKE_PROTOCOL' }],
    [(head) => opening(head).replace('websocket', 'h2c'), { code: 'ERR_HANDSHAKE_UPGRADE' }],
    [(head) => opening(head).replace('Connection: Upgrade', 'Connection: close'), { code: 'ERR_HANDSHAKE_CONNECTION' }],
    [(head) => opening(head, ['Sec-WebSocket-Extensions: x-other']), { code: 'ERR_HANDSHAKE_EXTENSION' }],
    [() => 'HTTP/2\r\n', { code: 'ERR_HANDSHAKE_MALFORMED' }],
  ];
  for (const [answer, expected] of answers) {
    const { url } = await tcpServer(t, async (socket) => {
      socket.write(answer(await readUntil(socket, '\r\n\r\n')));
    });
    assert.deepEqual(await reason(t, url), { phase: 'handshake', url, ...expected });
  }
  const silent = await tcpServer(t, () => {});
  // Long enough to come as far as that on a busy machine.
  const { phase, code } = await reason(t, silent.url, { handshakeTimeoutMs: 2000 });
  assert.deepEqual([phase, code], ['handshake', 'ETIMEDOUT']);
  const ending = await tcpServer(t, (socket) => socket.resume().end());
  assert.deepEqual((await reason(t, ending.url)).phase, 'handshake');
});

test('what breaks an open connection', async (t) => {
  const masked = await frameServer(t, (socket) => socket.write(frame(1, 'x', { mask: [1, 2, 3, 4] })));
  const broken = await reason(t, masked.url);
  assert.deepEqual([broken.phase, broken.code, broken.closeCode], ['frame', 'ERR_FRAME', 1002]);
  const ended = await frameServer(t, (socket) => socket.end());
  const end = await reason(t, ended.url);
  assert.deepEqual([end.phase, end.code, end.syscall], ['transport', 'EOF', 'read']);
});

test('a close before the opening', async (t) => {
  const { url } = await tcpServer(t, () => {});
  const messages = published(t, 'error');
  const socket = new WebSocket(url);
  socket.close();
  await next(socket, 'close');
  const [[, { error }]] = messages.filter(([, { websocket }]) => websocket === socket);
  assert.deepEqual([error.phase, error.code], ['abort', 'ABORT_ERR']);
});

test('the script learns nothing', async () => {
  const socket = new WebSocket('ws://nowhere.invalid/');
  const error = await next(socket, 'error');
  assert.deepEqual(
    Reflect.ownKeys(error).filter((key) => typeof key === 'string' && key !== 'isTrusted'),
    [],
  );
  assert.equal(error.constructor, Event);
  assert.equal(error.message, undefined);
});

test('NODE_DEBUG=webwire writes lines, without credentials', async () => {
  const script = `
    const { WebSocket } = require('./index.js');
    new WebSocket('ws://user:secret@nowhere.invalid/path').onclose = () => console.log('closed');
  `;
  const run = (NODE_DEBUG) =>
    promisify(execFile)(process.execPath, ['-e', script], {
      cwd: new URL('../..', import.meta.url),
      env: { ...process.env, NODE_DEBUG },
    });
  const { stdout, stderr } = await run('webwire');
  assert.equal(stdout, 'closed\n');
  assert.match(
    stderr,
    /^WEBWIRE \d+: webwire:websocket:error ws:\/\/nowhere\.invalid\/path dns getaddrinfo ENOTFOUND/m,
  );
  assert.doesNotMatch(stderr, /secret/);
  assert.equal((await run('')).stderr, '');
});
