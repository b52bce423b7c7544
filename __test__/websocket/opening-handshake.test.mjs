// The client's opening handshake against servers that get it right and wrong.
// https://www.rfc-editor.org/rfc/rfc6455#section-4.1

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import {
  FAILED,
  failure,
  frame,
  heard,
  next,
  opening,
  readUntil,
  TEXT,
  tcpServer,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

/** What a socket hears from a server that answers with `answer(head)`. */
async function outcome(t, answer, options) {
  const { url } = await tcpServer(t, async (socket) => {
    socket.write(answer(await readUntil(socket, '\r\n\r\n')), 'latin1');
  });
  const socket = new WebSocket(url, options);
  const { events, closed } = heard(socket);
  await Promise.race([next(socket, 'open').then(() => socket.close()), closed]);
  return events;
}

const without = (name) => (head) => opening(head).replace(new RegExp(`^${name}: .*\r\n`, 'm'), '');
const instead = (name, value) => (head) => opening(head).replace(new RegExp(`^${name}: .*$`, 'm'), `${name}: ${value}`);
const and = (line) => (head) => opening(head, [line]);

test('answers that open the connection', async (t) => {
  const good = {
    plain: opening,
    'a list in Connection': instead('Connection', 'keep-alive, upgrade'),
    'other cases': (head) => opening(head).replace('Upgrade: websocket', 'UPGRADE:WebSocket'),
    'after interim responses': (head) => `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${opening(head)}`,
  };
  for (const [name, answer] of Object.entries(good)) {
    assert.deepEqual((await outcome(t, answer))[0], ['open'], name);
  }
});

test('answers that fail the connection', async (t) => {
  const bad = {
    'no Upgrade': without('Upgrade'),
    'no Connection': without('Connection'),
    'no Accept': without('Sec-WebSocket-Accept'),
    'wrong Accept': instead('Sec-WebSocket-Accept', 'x3JJHMbDL1EzLkh9GBhXDw=='),
    'two Accepts': (head) => opening(head, [/Sec-WebSocket-Accept: \S+/.exec(opening(head))[0]]),
    'folded Accept': (head) => opening(head).replace('Sec-WebSocket-Accept: ', 'Sec-WebSocket-Accept:\r\n '),
    'Connection without upgrade': instead('Connection', 'close'),
    'another Upgrade': instead('Upgrade', 'h2c'),
    'a subprotocol': and('Sec-WebSocket-Protocol: a'),
    'an extension': and('Sec-WebSocket-Extensions: x-other'),
    'an extension and another': and('Sec-WebSocket-Extensions: permessage-deflate, x-other'),
    'a control character in a name': and('Na\x01me: x'),
    '101 headers': (head) => opening(head, new Array(101).fill('A: b')),
    '10,000 headers': (head) => opening(head, new Array(10_000).fill('A: b')),
    '100,000 headers': (head) => opening(head, new Array(100_000).fill('A: b')),
    '1 MiB of header': and(`A: ${'b'.repeat(1 << 20)}`),
    'HTTP/1.0': (head) => opening(head).replace('HTTP/1.1', 'HTTP/1.0'),
    'no HTTP': () => 'SSH-2.0-OpenSSH_9.9\r\n\r\n',
    200: () => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    401: () => 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n',
    503: () => 'HTTP/1.1 503 Service Unavailable\r\n\r\n',
  };
  for (const [name, answer] of Object.entries(bad)) {
    assert.deepEqual(await outcome(t, answer), FAILED, name);
  }
});

test('endless header bytes fail at a limit', async (t) => {
  const { url } = await tcpServer(t, async (socket) => {
    await readUntil(socket, '\r\n\r\n');
    const fill = () => {
      while (!socket.destroyed && socket.write(`A: ${'b'.repeat(8192)}\r\n`));
    };
    socket.on('drain', fill);
    fill();
  });
  assert.deepEqual(await heard(new WebSocket(url)).closed, FAILED);
});

test('subprotocols', async (t) => {
  const asked = { protocols: ['a', 'b'] };
  const protocol = async (line) => {
    const { url } = await tcpServer(t, async (socket) => {
      socket.write(opening(await readUntil(socket, '\r\n\r\n'), line === undefined ? [] : [line]));
    });
    const socket = new WebSocket(url, asked);
    const opened = await Promise.race([next(socket, 'open'), next(socket, 'error')]);
    socket.close();
    return opened.type === 'open' ? socket.protocol : undefined;
  };
  assert.equal(await protocol('Sec-WebSocket-Protocol: b'), 'b');
  assert.equal(await protocol(undefined), undefined);
  assert.equal(await protocol('Sec-WebSocket-Protocol: A'), undefined);
  assert.equal(await protocol('Sec-WebSocket-Protocol: a, b'), undefined);
  assert.equal(await protocol('Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b'), undefined);
});

test('redirects are not followed, wherever to', async (t) => {
  const targets = [await tcpServer(t, (socket) => socket.destroy())];
  if (process.platform === 'linux') {
    targets.push(await tcpServer(t, (socket) => socket.destroy(), { port: 0, host: '127.0.0.2' }));
  }
  const [{ port }] = targets;
  const locations = [
    `ws://127.0.0.1:${port}/`,
    `http://127.0.0.1:${port}/`,
    `https://127.0.0.1:${port}/`,
    `ws://user:password@127.0.0.1:${port}/`,
    `//127.0.0.1:${port}/`,
    `ws://localhost:${port}/`,
    ...targets.slice(1).map((other) => `ws://127.0.0.2:${other.port}/`),
    '/elsewhere',
    'no URL at all ::',
  ];
  const asked = [];
  for (const location of locations) {
    for (const status of [301, 302, 303, 307, 308]) {
      const { url, connections } = await tcpServer(t, async (socket) => {
        asked.push(await readUntil(socket, '\r\n\r\n'));
        socket.write(`HTTP/1.1 ${status} Moved\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`);
      });
      const withCredentials = url.replace('//', '//name:secret@');
      const socket = new WebSocket(withCredentials, { headers: { cookie: 'secret' } });
      assert.deepEqual(await heard(socket).closed, FAILED, `${status} ${location}`);
      assert.deepEqual([socket.url, connections()], [withCredentials, 1]);
    }
  }
  assert.match(asked[0], /^Authorization: Basic /m);
  for (const { port: at, server, connections } of targets) {
    // Behind all that may be on its way.
    const last = connect(at, server.address().address);
    await once(last.resume(), 'close');
    assert.equal(connections(), 1);
  }
});

test('the answer and frames behind it, in two segments, cut anywhere', async (t) => {
  let cut = 0;
  let length;
  const { url } = await tcpServer(t, async (socket) => {
    socket.setNoDelay();
    const head = await readUntil(socket, '\r\n\r\n');
    const bytes = Buffer.concat([Buffer.from(opening(head)), frame(TEXT, 'one'), frame(TEXT, 'two')]);
    length = bytes.length;
    socket.write(bytes.subarray(0, cut), () => socket.write(bytes.subarray(cut)));
  });
  do {
    const socket = new WebSocket(url);
    const { events } = heard(socket);
    await next(socket, 'message');
    if (events.length < 3) await next(socket, 'message');
    assert.deepEqual(events, [['open'], ['message', 'one'], ['message', 'two']], `cut at ${cut}`);
    socket.close();
    cut += 1;
  } while (cut <= length);
});

test('a silent server, and one that never ends its answer, fail at the time limit', async (t) => {
  const silent = await tcpServer(t, () => {});
  assert.deepEqual(await heard(new WebSocket(silent.url, { handshakeTimeoutMs: 50 })).closed, FAILED);
  const endless = await tcpServer(t, (socket) => {
    // Each byte makes the client read; none starts its time anew.
    const drip = () => socket.destroyed || socket.write('H', () => setImmediate(drip));
    drip();
  });
  assert.deepEqual(await heard(new WebSocket(endless.url, { handshakeTimeoutMs: 50 })).closed, FAILED);
});

test('the time limit counts TLS in: a server that says nothing, and one that stops in the midst', async (t) => {
  const record = Buffer.from([22, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3]);
  const stalls = [() => {}, (socket) => socket.once('data', () => socket.write(record))];
  const errors = stalls.map(async (serve) => {
    const { url } = await tcpServer(t, serve);
    // Long enough to come as far as that on a busy machine.
    return await failure(t, url.replace('ws:', 'wss:'), { handshakeTimeoutMs: 2000 });
  });
  for (const { phase, code } of await Promise.all(errors)) assert.deepEqual([phase, code], ['tls', 'ETIMEDOUT']);
});

test('refused, reset and unknown hosts fail', async (t) => {
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address();
  gone.close();
  await once(gone, 'close');
  assert.deepEqual(await heard(new WebSocket(`ws://127.0.0.1:${port}/`)).closed, FAILED);
  const reset = await tcpServer(t, (socket) => socket.resetAndDestroy());
  assert.deepEqual(await heard(new WebSocket(reset.url)).closed, FAILED);
  assert.deepEqual(await heard(new WebSocket('ws://nowhere.invalid/')).closed, FAILED);
  assert.deepEqual(await heard(new WebSocket(`wss://${'long'.repeat(20)}.localhost:${reset.port}/`)).closed, FAILED);
});

test('where the first address is dead, the next one opens', async (t) => {
  const { port } = await tcpServer(t, async (socket) => {
    socket.write(opening(await readUntil(socket, '\r\n\r\n')));
  });
  // ::1 and 127.0.0.1, of which only the second listens.
  for (const host of ['localhost', 'any.name.localhost']) {
    const socket = new WebSocket(`ws://${host}:${port}/`);
    await next(socket, 'open');
    socket.close();
  }
});
