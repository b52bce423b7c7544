// What a script gives for a server's answer: nothing in it splits the answer or adds headers. As `ws` where that is safe.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { all, readUntil, request, tcpClient } from '../helpers/websocket-ends.mjs';
import { ours, serve, theirs } from '../helpers/ws.mjs';

const EVIL = [
  '\r\nX-Evil: 1',
  '\nX-Evil: 1',
  '\r\rX-Evil: 1',
  '\r\n\r\nX-Evil: 1',
  '\0X-Evil',
  '\x7fX-Evil',
  '\x0bX-Evil',
];

/** A raw client of a new server, that asks for the subprotocol `a`. */
async function ask(t, implementation, options, headers) {
  const { server } = await serve(t, implementation, options);
  if (headers !== undefined) server.on('headers', headers);
  const { port } = server.address();
  const socket = await tcpClient(t, port);
  socket.write(request(port, ['Sec-WebSocket-Protocol: a']));
  return { server, socket };
}

/** The head of the 101. */
async function opened(t, implementation, options, headers) {
  const { socket } = await ask(t, implementation, options, headers);
  return readUntil(socket, '\r\n\r\n');
}

/** The answer to a client that is refused. */
async function refused(t, implementation, options, headers) {
  const { socket } = await ask(t, implementation, options, headers);
  return (await all(socket)).toString('latin1');
}

/** Asserts that the whole answer is one of 500 and says nothing else. */
function isFailure(answer, message) {
  const [head, body, ...rest] = answer.split('\r\n\r\n');
  assert.deepEqual([body, rest], [message, []]);
  assert.deepEqual(head.split('\r\n'), [
    'HTTP/1.1 500 Internal Server Error',
    'Connection: close',
    'Content-Type: text/html',
    `Content-Length: ${message.length}`,
  ]);
}

const protocolOf = (head) => /^sec-websocket-protocol: (.*)\r$/im.exec(head)?.[1];

test('handleProtocols: what is no token is never sent', async (t) => {
  const message = 'handleProtocols gives what is no subprotocol';
  for (const chosen of [...EVIL.map((evil) => `a${evil}`), 'a b', 'a,b', 'ä', ' a', {}, Promise.resolve('a')]) {
    isFailure(await refused(t, ours, { handleProtocols: () => chosen }), message);
  }
});

test('handleProtocols: what is one is sent as by ws, whether it was offered or not', async (t) => {
  for (const [chosen, expected] of [
    ['a', 'a'],
    ['other', 'other'],
    [true, 'true'],
    [7, '7'],
    [['a'], 'a'],
    [false, undefined],
    ['', undefined],
    [null, undefined],
    [undefined, undefined],
    [0, undefined],
  ]) {
    for (const implementation of [ours, theirs]) {
      const head = await opened(t, implementation, { handleProtocols: () => chosen });
      assert.equal(protocolOf(head), expected, String(chosen));
    }
  }
});

test('headers: a line that is no header is never sent, nor is one that is more', async (t) => {
  const message = 'A listener for headers gives a line that is no header';
  const bad = [...EVIL.map((evil) => `X-A: b${evil}`), ...EVIL.map((evil) => `X${evil}: b`), 'X-A: b\r\n', 'X-A: b\n'];
  for (const line of [...bad, 'X-A', '', ': b', ' X-A: b', 'X-A : b', 'X A: b', 'Ü: b', 7, undefined]) {
    isFailure(await refused(t, ours, {}, (lines) => lines.push(line)), message);
  }
  // Also one that is not taken.
  isFailure(await refused(t, ours, {}, (lines) => lines.splice(2, 1, `Connection: Upgrade${EVIL[0]}`)), message);
});

test('headers: the status line and what belongs to the handshake stay', async (t) => {
  const head = await opened(t, ours, {}, (lines) => {
    lines[0] = `HTTP/1.1 200 OK${EVIL[0]}`;
    lines.splice(1, Infinity, 'Sec-WebSocket-Accept: x', 'sec-websocket-protocol: x', 'X-A: b');
  });
  const [first, ...lines] = head.trimEnd().split('\r\n');
  assert.equal(first, 'HTTP/1.1 101 Switching Protocols');
  assert.deepEqual(
    lines.map((line) => line.split(':', 1)[0].toLowerCase()),
    ['upgrade', 'connection', 'sec-websocket-accept', 'sec-websocket-protocol', 'x-a'],
  );
  assert.equal(protocolOf(head), 'a');
});

test('headers: all others are the same bytes as from ws', async (t) => {
  const added = [
    'X-A: b',
    'X-Empty: ',
    'X-Tab: a\tb',
    "!#$%&'*+-.^_`|~: odd",
    'X-Text: päck € \u{560a} 😀',
    'Set-Cookie: a=b: c',
  ];
  const heads = [];
  for (const implementation of [ours, theirs]) {
    const head = await opened(t, implementation, {}, (lines) => lines.push(...added));
    heads.push(head.split('\r\n').slice(0, -2));
  }
  assert.deepEqual(heads[0].slice(-added.length), heads[1].slice(-added.length));
  assert.deepEqual(heads[0], heads[1]);
});

test('verifyClient: a status or headers that are none are never sent', async (t) => {
  const message = 'verifyClient gives a status or headers that are none';
  const wrong = [
    ...[`400 Bad${EVIL[0]}`, '400 Bad', 'x', 100, 101, 199, 1000, -1, 400.5, Number.POSITIVE_INFINITY, {}, [400]].map(
      (status) => [status],
    ),
    ...EVIL.flatMap((evil) => [{ 'X-A': `b${evil}` }, { [`X${evil}`]: 'b' }, { 'X-A': ['b', `c${evil}`] }]).map(
      (headers) => [403, 'no', headers],
    ),
    ...['', ' ', 'X A', 'X:A', 'Ü'].map((name) => [403, 'no', { [name]: 'b' }]),
  ];
  for (const answer of wrong) {
    const verifyClient = (_info, verified) => verified(false, ...answer);
    isFailure(await refused(t, ours, { verifyClient }), message);
  }
});

test('verifyClient: what can be sent is sent as by ws', async (t) => {
  for (const answer of [
    [],
    [undefined],
    [null],
    [0],
    [403],
    ['403'],
    [418, 'tea'],
    [403, `${EVIL[3]} is in the body`],
    [403, 'päck €', { 'X-Text': 'päck €', 'X-Many': ['a', 'b'], 'X-Number': 7 }],
    [426, '', { Upgrade: 'websocket' }],
    [200, 'no', { 'Content-Type': 'text/plain' }],
    [403, 'no', null],
  ]) {
    const verifyClient = (_info, verified) => verified(false, ...answer);
    const [mine, other] = [await refused(t, ours, { verifyClient }), await refused(t, theirs, { verifyClient })];
    assert.equal(mine, other, String(answer));
  }
});

test('verifyClient: what frames the answer is not for the script to say', async (t) => {
  const headers = {
    'content-length': 0,
    'Content-Length': 1,
    'Transfer-Encoding': 'chunked',
    Connection: 'keep-alive',
    'content-type': 'text/plain',
  };
  const verifyClient = (_info, verified) => verified(false, 403, 'no way', headers);
  assert.deepEqual((await refused(t, ours, { verifyClient })).split('\r\n'), [
    'HTTP/1.1 403 Forbidden',
    'Connection: close',
    'content-type: text/plain',
    'Content-Length: 6',
    '',
    'no way',
  ]);
});

test('wsClientError hears of it instead, and has the socket', async (t) => {
  for (const [options, listener, message] of [
    [{ handleProtocols: () => 'a b' }, undefined, /^handleProtocols /],
    [{}, (lines) => lines.push('no header'), /^A listener for headers /],
    [{ verifyClient: (_info, verified) => verified(false, 1) }, undefined, /^verifyClient /],
  ]) {
    const { server, socket } = await ask(t, ours, options, listener);
    const heard = once(server, 'wsClientError');
    const received = all(socket);
    const [error, given, { url }] = await heard;
    assert.match(error.message, message);
    assert.equal(url, '/');
    given.end('mine');
    assert.equal(String(await received), 'mine');
  }
});

for (const [name, implementation] of Object.entries({ ours, theirs })) {
  test(`what a hook throws is thrown by handleUpgrade (${name})`, async (t) => {
    const thrown = () => {
      throw new Error('thrown');
    };
    for (const [hook, listener] of [
      [{ verifyClient: thrown }],
      [{ verifyClient: (_info, _verified) => thrown() }],
      [{ verifyClient: (_info, verified) => verified(true), handleProtocols: thrown }],
      [{ handleProtocols: () => Symbol('no text') }],
      [{}, thrown],
    ]) {
      const server = new implementation.WebSocketServer({ noServer: true, ...hook });
      if (listener !== undefined) server.on('headers', listener);
      const http = createServer();
      http.listen(0, '127.0.0.1');
      await once(http, 'listening');
      t.after(() => http.close());
      const upgraded = once(http, 'upgrade');
      const socket = await tcpClient(t, http.address().port);
      socket.write(request(http.address().port, ['Sec-WebSocket-Protocol: a']));
      const received = all(socket);
      const [upgrade, end, head] = await upgraded;
      assert.throws(() => server.handleUpgrade(upgrade, end, head, assert.fail), Error);
      // There the client would wait for ever.
      if (implementation === theirs) end.destroy();
      else isFailure((await received).toString('latin1'), 'Internal Server Error');
    }
  });
}
