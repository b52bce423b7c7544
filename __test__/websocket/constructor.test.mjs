// What the constructor refuses, before anything is dialled. https://websockets.spec.whatwg.org/#dom-websocket-websocket

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heard, next, tcpServer, WebSocket } from '../helpers/websocket-ends.mjs';

const syntaxError = { name: 'SyntaxError', code: DOMException.SYNTAX_ERR };

test('URLs that are no WebSocket URLs', () => {
  const wrong = ['foo:', '', '/relative', 'ws://', 'ws://host:65536/', 'ws://ho st/', 'ftp://a/', 'file:///a', 'wss:'];
  wrong.push('ws://a/#', 'ws://a/#b', 'mailto:a@b', 'ws://[::1');
  // No URL has a zone, and no host what would end a line of the request.
  wrong.push('ws://[fe80::1%25eth0]/', 'ws://[fe80::1%eth0]/', 'ws://[fe80::1%2]/', 'ws://a%0d%0aX:/', 'ws://a%00/');
  for (const url of wrong) {
    assert.throws(() => new WebSocket(url), syntaxError, url);
    assert.throws(() => new WebSocket(url), DOMException, url);
  }
  assert.throws(() => new WebSocket(), TypeError);
  assert.throws(() => new WebSocket(Symbol('a')), TypeError);
  assert.throws(() => WebSocket('ws://a/'), TypeError);
});

test('http becomes ws, and the URL is normal', async (t) => {
  const { port } = await tcpServer(t, (socket) => socket.destroy());
  const cases = [
    [`http://127.0.0.1:${port}`, `ws://127.0.0.1:${port}/`],
    [`HTTPS://127.0.0.1:${port}/a b?ü`, `wss://127.0.0.1:${port}/a%20b?%C3%BC`],
    [new URL(`ws://127.1:${port}/x/../y`), `ws://127.0.0.1:${port}/y`],
    [`\n ws://127.0.0.1:${port}/\ta`, `ws://127.0.0.1:${port}/a`],
    [`ws://127.0.0.1:${port}/a\r\nX: y`, `ws://127.0.0.1:${port}/aX:%20y`],
    [`ws://[0:0::0:1]:${port}/`, `ws://[::1]:${port}/`],
  ];
  for (const [url, expected] of cases) {
    const socket = new WebSocket(url);
    assert.equal(socket.url, expected);
    assert.equal(socket.readyState, WebSocket.CONNECTING);
    await next(socket, 'close');
  }
});

test('subprotocols that are no tokens or are there twice', () => {
  for (const wrong of [
    '',
    'a b',
    'a,b',
    'a\r\nb',
    'ü',
    '\0',
    'a/b',
    'a"',
    '(',
    ['a', 'a'],
    ['a', 'A'],
    ['a', ''],
    [''],
    '{',
  ]) {
    assert.throws(() => new WebSocket('ws://127.0.0.1:1/', wrong), syntaxError, JSON.stringify(wrong));
    assert.throws(() => new WebSocket('ws://127.0.0.1:1/', { protocols: wrong }), syntaxError, JSON.stringify(wrong));
  }
  assert.throws(() => new WebSocket('ws://127.0.0.1:1/', [Symbol('a')]), TypeError);
});

test('headers that must not reach the wire', () => {
  const wrong = [
    { 'a b': 'x' },
    { 'a\r\n': 'x' },
    { '': 'x' },
    { 'x-a': 'x\r\ny: z' },
    { 'x-a': 'x\0' },
    { 'x-a': 'x\x7f' },
    { 'x-a': '€' },
    { 'Sec-WebSocket-Key': 'x' },
    { Connection: 'close' },
    { upgrade: 'x' },
    { 'Content-Length': '1' },
    { 'transfer-encoding': 'chunked' },
    [['a', 'b', 'c']],
    [['a']],
    'a: b',
    1,
  ];
  for (const headers of wrong) {
    assert.throws(() => new WebSocket('ws://127.0.0.1:1/', { headers }), TypeError, JSON.stringify(headers));
  }
});

test('options of a wrong type, and options that would be ignored', () => {
  const url = 'ws://127.0.0.1:1/';
  for (const options of [
    { maxMessageSize: -1 },
    { handshakeTimeoutMs: NaN },
    { closeTimeoutMs: 2 ** 32 },
    { ca: 1 },
    { localAddress: 'localhost' },
    { lookup: {} },
    { signal: {} },
    { signal: 1 },
  ]) {
    assert.throws(() => new WebSocket(url, { ...options }), TypeError, JSON.stringify(options));
  }
  assert.throws(() => new WebSocket(url, { maxMessageSize: 2 ** 31 }), RangeError);
  const bits = [{ clientMaxWindowBits: 7 }, { serverMaxWindowBits: 16 }, { level: 10 }];
  for (const perMessageDeflate of bits) assert.throws(() => new WebSocket(url, { perMessageDeflate }), RangeError);
  for (const wrong of [{ threshold: -1 }, { level: NaN }, { clientMaxWindowBits: 'x' }]) {
    assert.throws(() => new WebSocket(url, { perMessageDeflate: wrong }), TypeError);
  }
  assert.throws(() => new WebSocket('wss://127.0.0.1:4433/', { servername: '' }), TypeError);
  assert.throws(() => new WebSocket('wss://127.0.0.1:4433/', { cert: 'x' }), TypeError);
  assert.throws(() => new WebSocket('wss://127.0.0.1:4433/', { ca: 'no certificate' }), TypeError);
});

test('nothing is dialled for wrong arguments or a bad port', async (t) => {
  const { url, connections } = await tcpServer(t, (socket) => socket.destroy());
  assert.throws(() => new WebSocket(`${url}#`));
  assert.throws(() => new WebSocket(url, ''));
  assert.throws(() => new WebSocket(url, { headers: { 'a b': 'c' } }));
  for (const port of [1, 25, 6000, 6667, 10080]) {
    const { closed } = heard(new WebSocket(`ws://127.0.0.1:${port}/`));
    assert.deepEqual(await closed, [['error'], ['close', 1006, '', false]]);
  }
  await next(new WebSocket(url), 'close');
  assert.equal(connections(), 1);
});

test('what a request looks like', async (t) => {
  let head = '';
  const { port } = await tcpServer(t, (socket) => {
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1');
      if (head.endsWith('\r\n\r\n')) socket.end();
    });
  });
  const socket = new WebSocket(`ws://user:p%40ss@localhost:${port}/a%0d%0ab?c#`.slice(0, -1), {
    protocols: ['one', 'two'],
    headers: [
      ['X-One', '  é '],
      ['Cookie', 'a=b'],
    ],
  });
  await next(socket, 'close');
  const lines = head.split('\r\n');
  assert.equal(lines[0], 'GET /a%0d%0ab?c HTTP/1.1');
  assert.deepEqual(
    lines.filter((line) => /^host:/i.test(line)),
    [`Host: localhost:${port}`],
  );
  assert.ok(lines.includes('Sec-WebSocket-Protocol: one, two'));
  assert.ok(lines.includes('X-One: é'));
  assert.ok(lines.includes('Cookie: a=b'));
  assert.ok(lines.includes(`Authorization: Basic ${btoa('user:p@ss')}`));
  assert.match(head, /^Sec-WebSocket-Key: [A-Za-z0-9+/]{22}==\r$/m);
  assert.ok(lines.includes('Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'));
});

test('the second argument is converted before the URL is looked at, and checked after it', () => {
  const thrown = new Error('mine');
  const throwing = {
    toString() {
      throw thrown;
    },
  };
  assert.throws(() => new WebSocket('http://[', [throwing]), thrown);
  assert.throws(() => new WebSocket('http://[', { protocols: [throwing] }), thrown);
  assert.throws(() => new WebSocket('http://[', Symbol('a')), TypeError);
  assert.throws(() => new WebSocket('ftp://host/', ['a', 'a']), { name: 'SyntaxError', message: /scheme/ });
});

test('an object whose iterator is undefined or null is none to iterate over', async (t) => {
  const { url } = await tcpServer(t, (socket) => socket.destroy());
  for (const iterator of [undefined, null]) {
    await next(new WebSocket(url, { [Symbol.iterator]: iterator }), 'close');
  }
  assert.throws(() => new WebSocket(url, { [Symbol.iterator]: 5 }), TypeError);
});
