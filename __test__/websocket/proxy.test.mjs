// The option `proxy`: HTTP CONNECT and SOCKS5, and proxies that do it wrong.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCertificate } from '../helpers/certificate.mjs';
import { connectProxy, socksProxy } from '../helpers/proxies.mjs';
import {
  all,
  FAILED,
  failure,
  heard,
  listening,
  next,
  readUntil,
  tcpServer,
  WebSocket,
  WebSocketStream,
} from '../helpers/websocket-ends.mjs';

const { cert, key } = createCertificate({ names: ['name.invalid', 'localhost'] });

/** An echo server that keeps the headers of its requests. */
async function echoServer(t, options) {
  const headers = [];
  const { port } = await listening(
    t,
    (socket, request) => {
      headers.push(Object.fromEntries(request.headers));
      socket.binaryType = 'nodebuffer';
      socket.addEventListener('message', ({ data }) => socket.send(data));
    },
    options,
  );
  return { port, headers };
}

/** Exchanges messages, more than any buffer on the way holds. */
async function exchange(url, options) {
  const socket = new WebSocket(url, options);
  socket.binaryType = 'nodebuffer';
  await next(socket, 'open');
  for (const data of ['hello', Buffer.alloc(4 << 20, 'abc')]) {
    socket.send(data);
    assert.deepEqual((await next(socket, 'message')).data, data);
  }
  socket.close(1000);
  const { wasClean } = await next(socket, 'close');
  assert.ok(wasClean);
}

test('CONNECT, for ws and wss', async (t) => {
  const proxy = await connectProxy(t);
  for (const [scheme, tls] of [
    ['ws', {}],
    ['wss', { cert, key }],
  ]) {
    const server = await echoServer(t, tls);
    await exchange(`${scheme}://name.invalid:${server.port}/`, {
      ca: cert,
      proxy: `http://127.0.0.1:${proxy.port}`,
      headers: { 'X-Secret': 'for the server' },
    });
    const authority = `name.invalid:${server.port}`;
    assert.deepEqual(proxy.requests.pop(), {
      method: 'CONNECT',
      url: authority,
      headers: { host: authority },
      early: 0,
    });
    const [headers] = server.headers;
    assert.equal(headers.host, authority);
    assert.equal(headers['x-secret'], 'for the server');
  }
});

test('credentials of the proxy go to the proxy only', async (t) => {
  const proxy = await connectProxy(t);
  const server = await echoServer(t);
  await exchange(`ws://own%40:word@name.invalid:${server.port}/`, {
    proxy: new URL(`http://user:p%40ss%zz@127.0.0.1:${proxy.port}/`),
  });
  const [{ headers }] = proxy.requests;
  assert.equal(headers['proxy-authorization'], `Basic ${btoa('user:p@ss%zz')}`);
  assert.equal(headers.authorization, undefined);
  const [{ authorization, ...others }] = server.headers;
  assert.equal(authorization, `Basic ${btoa('own@:word')}`);
  assert.equal(others['proxy-authorization'], undefined);
});

test('a proxy over TLS, for ws and wss', async (t) => {
  const proxy = await connectProxy(t, { cert, key });
  for (const [scheme, tls] of [
    ['ws', {}],
    ['wss', { cert, key }],
  ]) {
    const server = await echoServer(t, tls);
    await exchange(`${scheme}://name.invalid:${server.port}/`, { ca: cert, proxy: `https://localhost:${proxy.port}` });
  }
  const options = { proxy: `https://localhost:${proxy.port}`, rejectUnauthorized: false };
  const { phase, code } = await failure(t, 'wss://name.invalid/', options);
  assert.deepEqual([phase, code], ['tls', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE']);
  assert.equal(proxy.requests.length, 2);
});

test('SOCKS5: the proxy gets the name', async (t) => {
  const proxy = await socksProxy(t);
  const server = await echoServer(t);
  await exchange(`ws://name.invalid:${server.port}/`, { proxy: `socks5://127.0.0.1:${proxy.port}` });
  await exchange(`ws://127.0.0.1:${server.port}/`, { proxy: `socks5h://127.0.0.1:${proxy.port}` });
  await exchange(`ws://[::1]:${server.port}/`, { proxy: `socks5://127.0.0.1:${proxy.port}` });
  const { port } = server;
  assert.deepEqual(proxy.requests, [
    { methods: [0], name: 'name.invalid', port },
    { methods: [0], address: '7f000001', port },
    { methods: [0], address: `${'0'.repeat(31)}1`, port },
  ]);
});

test('SOCKS5 with user and password', async (t) => {
  const proxy = await socksProxy(t, { credentials: ['user', 'p@ss'] });
  const server = await echoServer(t, { cert, key });
  const url = `wss://name.invalid:${server.port}/`;
  await exchange(url, { ca: cert, proxy: `socks5://user:p%40ss@127.0.0.1:${proxy.port}` });
  assert.deepEqual(proxy.requests[0].credentials, ['user', 'p@ss']);
  assert.equal(server.headers[0]['proxy-authorization'], undefined);
  for (const wrong of ['user:other@', '']) {
    const { phase, code } = await failure(t, url, { proxy: `socks5://${wrong}127.0.0.1:${proxy.port}` });
    assert.deepEqual([phase, code], ['proxy', 'ERR_PROXY_AUTHENTICATION']);
  }
});

test('lookup and localAddress are for the way to the proxy', async (t) => {
  const proxy = await connectProxy(t);
  const server = await echoServer(t);
  const names = [];
  await exchange(`ws://name.invalid:${server.port}/`, {
    proxy: `http://proxy.invalid:${proxy.port}`,
    localAddress: '127.0.0.1',
    lookup(name, _options, callback) {
      names.push(name);
      callback(null, '127.0.0.1', 4);
    },
  });
  assert.deepEqual(names, ['proxy.invalid']);
  const stream = new WebSocketStream(`ws://name.invalid:${server.port}/`, {
    proxy: `http://proxy.invalid:${proxy.port}`,
    lookup: (_name, _options, callback) => callback(null, '127.0.0.1', 4),
  });
  await stream.opened;
  stream.close();
  await stream.closed;
});

test('answers to CONNECT that open nothing', async (t) => {
  const target = await tcpServer(t, (socket) => socket.destroy());
  const answers = [
    ['HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n', 'ERR_PROXY_STATUS', 407],
    [`HTTP/1.1 302 Found\r\nLocation: ${target.url}\r\n\r\n`, 'ERR_PROXY_STATUS', 302],
    ['HTTP/1.1 502 Bad Gateway\r\n\r\n', 'ERR_PROXY_STATUS', 502],
    ['HTTP/1.1 100 Continue\r\n\r\n', 'ERR_PROXY_STATUS', 100],
    // Nobody may speak for the server before it has been spoken to.
    ['HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n', 'ERR_PROXY_MALFORMED'],
    ['SSH-2.0-OpenSSH_9.9\r\n', 'ERR_PROXY_MALFORMED'],
    [`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(101)}\r\n`, 'ERR_PROXY_MALFORMED'],
    [`HTTP/1.1 200 OK\r\nA: ${'b'.repeat(1 << 20)}`, 'ERR_PROXY_MALFORMED'],
    ['', 'EOF'],
  ];
  for (const [answer, code, status] of answers) {
    const { port } = await tcpServer(t, async (socket) => {
      await readUntil(socket, '\r\n\r\n');
      if (answer === '') socket.end();
      else socket.write(answer);
    });
    const error = await failure(t, 'ws://name.invalid/', { proxy: `http://127.0.0.1:${port}` });
    assert.deepEqual([error.phase, error.code, error.status], ['proxy', code, status], answer.slice(0, 40));
  }
  assert.equal(target.connections(), 0);
});

test('answers of SOCKS5 that open nothing', async (t) => {
  const answers = [
    [[4, 0], 'ERR_PROXY_MALFORMED'],
    [[5, 0xff], 'ERR_PROXY_AUTHENTICATION'],
    [[5, 9], 'ERR_PROXY_MALFORMED'],
    [[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], 'ECONNREFUSED'],
    [[5, 0, 5, 4, 0, 1, 0, 0, 0, 0, 0, 0], 'EHOSTUNREACH'],
    [[5, 0, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0], 'ERR_PROXY_REFUSED'],
    [[5, 0, 5, 0, 0, 9, 0, 0, 0, 0, 0, 0], 'ERR_PROXY_MALFORMED'],
    [[5, 0, 5, 0, 0, 3, 2, 0xff, 0xff, 0, 0], 'ERR_PROXY_MALFORMED'],
    [[5, 0, 5, 0], 'EOF'],
    [[], 'EOF'],
  ];
  for (const [answer, code] of answers) {
    const { port } = await tcpServer(t, (socket) => socket.resume().end(Buffer.from(answer)));
    const error = await failure(t, 'ws://name.invalid/', { proxy: `socks5://127.0.0.1:${port}` });
    assert.deepEqual([error.phase, error.code], ['proxy', code], answer.join());
  }
});

test('a silent proxy fails at the time limit of the handshake', async (t) => {
  const { port } = await tcpServer(t, (socket) => socket.resume());
  for (const scheme of ['http', 'socks5']) {
    // Long enough to come as far as that on a busy machine.
    const options = { proxy: `${scheme}://127.0.0.1:${port}`, handshakeTimeoutMs: 2000 };
    const { phase, code } = await failure(t, 'ws://name.invalid/', options);
    assert.deepEqual([phase, code], ['proxy', 'ETIMEDOUT']);
  }
});

test('close() while the proxy is asked', async (t) => {
  let asked;
  const reached = new Promise((resolve) => {
    asked = resolve;
  });
  const { port } = await tcpServer(t, (socket) => asked(socket));
  const socket = new WebSocket('ws://name.invalid/', { proxy: `http://127.0.0.1:${port}` });
  const { closed } = heard(socket);
  const received = all(await reached);
  socket.close();
  assert.deepEqual(await closed, FAILED);
  // The proxy sees the end.
  await received;
});

test('bad ports are blocked behind proxies as well', async (t) => {
  const { port, connections } = await tcpServer(t, (socket) => socket.destroy());
  const { code } = await failure(t, 'ws://name.invalid:25/', { proxy: `http://127.0.0.1:${port}` });
  assert.equal(code, 'ERR_BLOCKED_PORT');
  assert.equal(connections(), 0);
});

test('what is no proxy', () => {
  const wrong = [
    'localhost:8080',
    'ftp://a/',
    'socks4://a/',
    'http://a/path',
    'http://a/?query',
    'http://a/#fragment',
    'socks5://',
    'socks5://user@a/',
    `socks5://user:${'p'.repeat(256)}@a/`,
    'http://us%3Aer:pass@a/',
    {},
    8080,
  ];
  for (const proxy of wrong) {
    assert.throws(() => new WebSocket('ws://127.0.0.1:1/', { proxy }), TypeError, String(proxy));
  }
  assert.throws(
    () => new WebSocket('ws://a/', { proxy: 'http://user:secret@:0' }),
    (error) => !/secret/.test(error.message),
  );
});
