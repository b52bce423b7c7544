// Requests that a server must refuse. https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  all,
  closeCode,
  echo,
  KEY,
  listening,
  next,
  readUntil,
  request,
  tcpClient,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

test('requests that are refused, and what they are told', async (t) => {
  const { port, url } = await listening(t, () => assert.fail('must not be accepted'));
  const good = request(port);
  const without = (name) => good.replace(new RegExp(`^${name}: .*\r\n`, 'm'), '');
  const cases = [
    ['no Upgrade', without('Upgrade'), 426],
    ['no Connection', without('Connection'), 426],
    ['version 7', good.replace('Version: 13', 'Version: 7'), 426],
    ['version 12', good.replace('Version: 13', 'Version: 12'), 426],
    ['version 14', good.replace('Version: 13', 'Version: 14'), 426],
    ['no version', without('Sec-WebSocket-Version'), 426],
    ['POST', good.replace('GET', 'POST'), 400],
    ['HTTP/1.0', good.replace('HTTP/1.1', 'HTTP/1.0'), 400],
    ['no Host', without('Host'), 400],
    ['no key', without('Sec-WebSocket-Key'), 400],
    ['a short key', good.replace(KEY, 'dGhl'), 400],
    ['two keys', request(port, [`Sec-WebSocket-Key: ${KEY}`]), 400],
    ['the same subprotocol twice', request(port, ['Sec-WebSocket-Protocol: a, a']), 400],
    ['60 KiB of commas', request(port, [`Sec-WebSocket-Protocol: ${','.repeat(60_000)}`]), 400],
    ['a folded line', request(port, ['X: a', ' b']), 400],
    ['no HTTP', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', 400],
    ['101 lines', request(port, new Array(101).fill('a: b')), 431],
    ['20,000 lines', request(port, new Array(20_000).fill('a: b')), 431],
    ['1 MiB of header', request(port, [`a: ${'b'.repeat(1 << 20)}`]), 431],
  ];
  for (const [name, bytes, status] of cases) {
    const client = await tcpClient(t, port);
    client.write(bytes, 'latin1');
    const head = await readUntil(client, '\r\n\r\n');
    assert.match(head, new RegExp(`^HTTP/1.1 ${status} `), name);
    if (status === 426) assert.match(head, /^Sec-WebSocket-Version: 13\r$/m, name);
    assert.match(head, /^Connection: close\r$/m, name);
    client.destroy();
  }
  assert.ok(url);
});

test('60 KiB of extensions are no trouble', async (t) => {
  const { port } = await listening(t, echo);
  const client = await tcpClient(t, port);
  client.write(request(port, [`Sec-WebSocket-Extensions: ${'a;b=c, '.repeat(8_000)}d`]));
  assert.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1.1 101 /);
});

test('a body or a second request behind the upgrade is never HTTP', async (t) => {
  const { port, url } = await listening(t, echo);
  for (const extra of [`${request(port, ['Content-Length: 5'])}hello`, request(port) + request(port)]) {
    const client = await tcpClient(t, port);
    client.write(extra);
    assert.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1.1 101 /);
    client.end();
    assert.equal(closeCode(await all(client)), 1002);
  }
  const socket = new WebSocket(url);
  await next(socket, 'open');
  socket.close();
});

test('a request byte by byte', async (t) => {
  const { port } = await listening(t, echo);
  const client = await tcpClient(t, port);
  client.setNoDelay();
  for (const byte of request(port)) await new Promise((resolve) => client.write(byte, resolve));
  assert.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1.1 101 /);
});

test('the URL of a socket whose request has a whole URL, or none, for its target', async (t) => {
  const { server, port } = await listening(t);
  for (const [target, url] of [
    ['http://host.example:81/path?query', 'ws://host.example:81/path?query'],
    ['//path', `ws://127.0.0.1:${port}//path`],
    ['*', 'ws://invalid/'],
    ['host:80', 'ws://invalid/'],
  ]) {
    const connection = next(server, 'connection');
    const client = await tcpClient(t, port);
    client.write(request(port).replace('/', target));
    const { socket, request: accepted } = await connection;
    assert.deepEqual([accepted.url, socket.url], [target, url]);
  }
});
