// The class WebSocket of `webwire/ws` against the server of `ws` and against raw frames.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { closeBody, frame, frameServer, tcpServer } from '../helpers/websocket-ends.mjs';
import { emitted, ours, serve, theirs } from '../helpers/ws.mjs';

const { WebSocket } = ours;

/** A server of `ws` that echoes, and our client connected to it. */
async function connected(t, options = {}, work = () => {}) {
  const { url, server } = await serve(t, theirs, {}, (socket, request) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    work(socket, request);
  });
  const socket = new WebSocket(url, options);
  t.after(() => socket.terminate());
  await once(socket, 'open');
  return { socket, server, url };
}

test('the module is the class, with the rest on it', async () => {
  assert.equal(ours.default, WebSocket);
  assert.equal(WebSocket.WebSocket, WebSocket);
  assert.equal(WebSocket.Server, ours.WebSocketServer);
  assert.equal(WebSocket.WebSocketServer, ours.WebSocketServer);
  assert.equal(WebSocket.createWebSocketStream, ours.createWebSocketStream);
  for (const [name, value] of Object.entries({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 })) {
    assert.equal(WebSocket[name], value);
    assert.equal(WebSocket.prototype[name], value);
  }
});

test('text and binary come back as Buffers that say what they are', async (t) => {
  const { socket } = await connected(t);
  for (const [sent, options, data, isBinary] of [
    ['text', undefined, Buffer.from('text'), false],
    ['', undefined, Buffer.alloc(0), false],
    [Buffer.from([1, 2, 3]), undefined, Buffer.from([1, 2, 3]), true],
    [new Uint16Array([1, 2]).subarray(1), undefined, Buffer.from([2, 0]), true],
    [new Uint8Array([9]).buffer, undefined, Buffer.from([9]), true],
    [new DataView(new ArrayBuffer(2), 1), undefined, Buffer.from([0]), true],
    [new Blob(['blob']), undefined, Buffer.from('blob'), true],
    [[4, 5], undefined, Buffer.from([4, 5]), true],
    [17, undefined, Buffer.from('17'), false],
    [Buffer.from('päck'), { binary: false }, Buffer.from('päck'), false],
    ['päck', { binary: true }, Buffer.from('päck'), true],
    ['x'.repeat(100_000), { compress: false, mask: true, fin: true }, Buffer.from('x'.repeat(100_000)), false],
    [Buffer.alloc(100_000, 7), {}, Buffer.alloc(100_000, 7), true],
  ]) {
    const back = once(socket, 'message');
    socket.send(sent, options);
    assert.deepEqual(await back, [data, isBinary]);
  }
});

test('small messages that come together are Buffers apart, which stay as they are', async (t) => {
  const sizes = [64, 1, 0, 63, 64, 65, 300, 2047, 2048, 2049, 64, 5000, 20_000, 64, 64];
  const count = 6000;
  const message = (index) => Buffer.alloc(sizes[index % sizes.length], index % 251);
  const { url } = await serve(t, theirs, {}, (socket) => {
    for (let index = 0; index < count; index++) socket.send(message(index));
    socket.close();
  });
  const socket = new WebSocket(url);
  const received = [];
  socket.on('message', (data) => received.push(data));
  await once(socket, 'close');
  assert.equal(received.length, count);
  for (const [index, data] of received.entries()) {
    assert.ok(Buffer.isBuffer(data));
    assert.ok(message(index).equals(data), `message ${index}`);
  }
});

test('whoever transfers the memory of one message does not take the others along', async (t) => {
  const count = 1000;
  const { url } = await serve(t, theirs, {}, (socket) => {
    for (let index = 0; index < count; index++) socket.send(Buffer.alloc(64, index % 251));
    socket.close();
  });
  const socket = new WebSocket(url);
  const received = [];
  socket.on('message', (data) => {
    received.push(data);
    try {
      structuredClone(data.buffer, { transfer: [data.buffer] });
    } catch (error) {
      assert.equal(error.name, 'DataCloneError');
    }
  });
  await once(socket, 'close');
  // Those that have memory of their own may be gone.
  const left = received.filter(({ length }) => length > 0);
  assert.equal(received.length, count);
  assert.ok(left.length > 0);
  for (const [index, data] of received.entries()) {
    if (data.length > 0) assert.ok(Buffer.alloc(64, index % 251).equals(data));
  }
});

test('a message in fragments leaves as one', async (t) => {
  const { socket } = await connected(t);
  const back = once(socket, 'message');
  const written = [];
  socket.send('one ', { fin: false }, () => written.push(1));
  socket.send('two ', { fin: false });
  socket.send('three', { fin: true }, () => written.push(3));
  assert.deepEqual(await back, [Buffer.from('one two three'), false]);
  assert.deepEqual(written, [1, 3]);
});

test('binaryType says what binary messages are', async (t) => {
  const { socket } = await connected(t);
  const bytes = Buffer.from([1, 2, 3]);
  assert.equal(socket.binaryType, 'nodebuffer');
  for (const [type, check] of [
    ['arraybuffer', (data) => assert.deepEqual(data, new Uint8Array([1, 2, 3]).buffer)],
    ['fragments', (data) => assert.deepEqual(Buffer.concat(data), bytes)],
    ['blob', async (data) => assert.deepEqual(Buffer.from(await data.arrayBuffer()), bytes)],
    ['nodebuffer', (data) => assert.deepEqual(data, bytes)],
  ]) {
    socket.binaryType = type;
    assert.equal(socket.binaryType, type);
    const back = once(socket, 'message');
    socket.send(bytes);
    await check((await back)[0]);
  }
  socket.binaryType = 'unknown';
  assert.equal(socket.binaryType, 'nodebuffer');
});

test('callbacks are called in order when their messages are written', async (t) => {
  const { socket } = await connected(t);
  const order = [];
  await new Promise((resolve) => {
    const written = (name) => (error) => order.push([name, error]);
    socket.send('one', written('text'));
    socket.send(Buffer.alloc(1 << 20), {}, written('large'));
    socket.ping('p', undefined, written('ping'));
    socket.pong(written('pong'));
    socket.send('', (error) => {
      order.push(['empty', error]);
      resolve();
    });
  });
  assert.deepEqual(
    order,
    ['text', 'large', 'ping', 'pong', 'empty'].map((name) => [name, undefined]),
  );
  assert.equal(socket.bufferedAmount, 0);
});

for (const [name, library] of Object.entries({ 'webwire/ws': ours, ws: theirs })) {
  test(`in its callback a message of ${name} counts as buffered no longer`, async (t) => {
    const { url } = await serve(t, theirs);
    const socket = new library.WebSocket(url);
    t.after(() => socket.terminate());
    await once(socket, 'open');
    for (let sent = 0; sent < 100; sent += 1) {
      const buffered = await new Promise((resolve) => socket.send('four', () => resolve(socket.bufferedAmount)));
      assert.equal(buffered, 0);
    }
  });
}

test('a callback hears that its message can not be written', async (t) => {
  const { socket } = await connected(t);
  const unwritten = new Promise((resolve) => socket.send(Buffer.alloc(64 << 20), resolve));
  const closed = once(socket, 'close');
  socket.terminate();
  assert.ok((await unwritten) instanceof Error);
  await closed;
  const error = await new Promise((resolve) => socket.send('late', resolve));
  assert.equal(error.message, 'WebSocket is not open: readyState 3 (CLOSED)');
  socket.send('nobody asks');
  const before = socket.bufferedAmount;
  socket.send('four');
  assert.equal(socket.bufferedAmount, before + 4);
});

test('nothing can be sent before it is open', async (t) => {
  const { url } = await serve(t, theirs);
  const socket = new WebSocket(url);
  assert.equal(socket.readyState, WebSocket.CONNECTING);
  for (const method of ['send', 'ping', 'pong']) {
    assert.throws(() => socket[method]('early'), { message: 'WebSocket is not open: readyState 0 (CONNECTING)' });
  }
  socket.pause();
  assert.equal(socket.isPaused, false);
  const { closed } = emitted(socket);
  socket.terminate();
  await closed;
});

test('close code and reason go both ways', async (t) => {
  const { socket, server } = await connected(t);
  const [peer] = server.clients;
  const there = once(peer, 'close');
  const here = once(socket, 'close');
  socket.close(4001, Buffer.from('grund'));
  assert.equal(socket.readyState, WebSocket.CLOSING);
  assert.deepEqual(await there, [4001, Buffer.from('grund')]);
  assert.deepEqual(await here, [4001, Buffer.from('grund')]);
  assert.equal(socket.readyState, WebSocket.CLOSED);
});

test('a close without a code is 1005, the codes of close() are checked', async (t) => {
  const { socket } = await connected(t);
  for (const code of [999, 1004, 1005, 1006, 1015, 2999, 5000, '1000'])
    assert.throws(() => socket.close(code), TypeError);
  assert.throws(() => socket.close(1000, 'x'.repeat(124)), RangeError);
  assert.equal(socket.readyState, WebSocket.OPEN);
  const closed = once(socket, 'close');
  socket.close();
  assert.deepEqual(await closed, [1005, Buffer.alloc(0)]);
});

test('messages are heard behind a close() until the peer closes', async (t) => {
  const { url } = await serve(t, theirs, {}, (socket) => {
    socket.on('message', () => {
      for (const text of ['one', 'two']) socket.send(text);
    });
  });
  const socket = new WebSocket(url);
  const { closed } = emitted(socket);
  await once(socket, 'open');
  socket.send('go');
  socket.close(1000);
  assert.deepEqual(await closed, [
    ['open'],
    ['message', Buffer.from('one'), false],
    ['message', Buffer.from('two'), false],
    ['close', 1000, ''],
  ]);
});

test('terminate() ends without a closing handshake', async (t) => {
  const { socket, server } = await connected(t);
  const [peer] = server.clients;
  const there = once(peer, 'close');
  const { closed } = emitted(socket);
  socket.terminate();
  assert.equal(socket.readyState, WebSocket.CLOSING);
  assert.deepEqual(await closed, [['close', 1006, '']]);
  assert.equal((await there)[0], 1006);
  socket.terminate();
  socket.close();
});

for (const method of ['close', 'terminate']) {
  test(`${method}() before it is open is an error`, async (t) => {
    const { url } = await serve(t, theirs);
    const socket = new WebSocket(url);
    const { closed } = emitted(socket);
    socket[method]();
    assert.equal(socket.readyState, WebSocket.CLOSING);
    const [[type, error], close, ...rest] = await closed;
    assert.equal(type, 'error');
    assert.equal(error.message, 'WebSocket was closed before the connection was established');
    assert.deepEqual(close, ['close', 1006, '']);
    assert.deepEqual(rest, []);
  });
}

test('pings are answered, and come as events', async (t) => {
  const { socket, server } = await connected(t);
  const [peer] = server.clients;
  const pinged = once(socket, 'ping');
  const answered = once(peer, 'pong');
  peer.ping('hello');
  assert.deepEqual(await pinged, [Buffer.from('hello')]);
  assert.deepEqual(await answered, [Buffer.from('hello')]);
  const ponged = once(socket, 'pong');
  socket.ping(Buffer.from('there'));
  assert.deepEqual(await ponged, [Buffer.from('there')]);
  const heard = once(peer, 'pong');
  socket.pong(5);
  assert.deepEqual(await heard, [Buffer.from('5')]);
  assert.throws(() => socket.ping('x'.repeat(126)), RangeError);
});

test('with autoPong: false the script answers pings', async (t) => {
  const { socket, server } = await connected(t, { autoPong: false });
  const [peer] = server.clients;
  const answers = [];
  peer.on('pong', (data) => answers.push(data.toString()));
  socket.on('ping', (data) => socket.pong(`mine: ${data}`));
  peer.ping('one');
  await once(peer, 'pong');
  const back = once(peer, 'message');
  socket.send('behind');
  await back;
  assert.deepEqual(answers, ['mine: one']);
});

test('the constructor refuses what ws refuses, by the same exceptions', () => {
  for (const [address, protocols, options, expected] of [
    ['not a url', undefined, undefined, SyntaxError],
    ['ftp://localhost', undefined, undefined, SyntaxError],
    ['ws://localhost/#part', undefined, undefined, SyntaxError],
    ['ws://localhost', 'a b', undefined, SyntaxError],
    ['ws://localhost', ['a', 'a'], undefined, SyntaxError],
    ['ws://localhost', [undefined], undefined, SyntaxError],
    ['ws://localhost', [], { protocolVersion: 1000 }, RangeError],
    ['ws://localhost', [], { headers: { 'a b': 'c' } }, TypeError],
  ]) {
    assert.throws(() => new WebSocket(address, protocols, options), expected, String(address));
    if (options?.headers === undefined)
      assert.throws(() => new theirs.WebSocket(address, protocols, options), expected);
  }
});

test('options that would be ignored are refused', () => {
  for (const options of [{ createConnection() {} }, { agent: { addRequest() {} } }, { checkServerIdentity() {} }]) {
    assert.throws(() => new WebSocket('ws://localhost', options), { name: 'NotSupportedError' });
  }
});

test('subprotocols, headers, origin and credentials reach the server', async (t) => {
  const seen = [];
  const { url } = await serve(t, theirs, { handleProtocols: () => 'b' }, (_socket, request) => seen.push(request));
  const target = url.replace('ws://', 'http://us%20er:pa%3Ass@');
  const socket = new WebSocket(`${target}path?query`, ['a', 'b'], {
    headers: { 'X-One': 'first', 'X-Many': ['1', '2'], Cookie: ['a=b', 'c=d'], Connection: 'close', Upgrade: 'no' },
    origin: 'https://example.org',
  });
  await once(socket, 'open');
  const [{ headers, url: path }] = seen;
  assert.equal(socket.protocol, 'b');
  assert.equal(socket.url, `${target.replace('http:', 'ws:')}path?query`);
  assert.equal(path, '/path?query');
  assert.equal(headers['x-one'], 'first');
  assert.equal(headers['x-many'], '1, 2');
  assert.equal(headers.cookie, 'a=b; c=d');
  assert.equal(headers.origin, 'https://example.org');
  assert.equal(headers['sec-websocket-protocol'].replaceAll(' ', ''), 'a,b');
  assert.equal(headers.authorization, `Basic ${Buffer.from('us er:pa:ss').toString('base64')}`);
  socket.close();
  await once(socket, 'close');
});

test('a server that nobody listens at is ECONNREFUSED', async (t) => {
  const { port, server } = await tcpServer(t, () => {});
  server.close();
  await once(server, 'close');
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const { closed } = emitted(socket);
  const [[type, error], close] = await closed;
  assert.equal(type, 'error');
  assert.deepEqual(
    { code: error.code, syscall: error.syscall, address: error.address, port: error.port },
    { code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port },
  );
  assert.deepEqual(close, ['close', 1006, '']);
});

test('another status than 101 is an error that says it, also a redirect', async (t) => {
  for (const status of [404, 301]) {
    const server = createServer().on('upgrade', (_request, socket) => {
      socket.end(`HTTP/1.1 ${status} No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const socket = new WebSocket(`ws://127.0.0.1:${server.address().port}`, { followRedirects: true });
    const [[, error]] = await emitted(socket).closed;
    assert.equal(error.message, `Unexpected server response: ${status}`);
  }
});

test('a handshake that takes too long is an error', async (t) => {
  const { url } = await tcpServer(t, () => {});
  const [[, error]] = await emitted(new WebSocket(url, { handshakeTimeout: 50 })).closed;
  assert.equal(error.message, 'Opening handshake has timed out');
});

for (const [what, bytes, code, options] of [
  ['text that is no UTF-8', frame(1, [0xff]), 'WS_ERR_INVALID_UTF8'],
  ['a message that is too long', frame(2, 'long'), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', { maxPayload: 3 }],
  ['a masked frame', frame(2, 'x', { mask: [1, 2, 3, 4] }), 'WS_ERR_PROTOCOL'],
]) {
  test(`${what} is the error ${code}, then the close`, async (t) => {
    const { url } = await frameServer(t, (peer) => peer.write(bytes));
    const [[opened], [failed, error], closed] = await emitted(new WebSocket(url, options)).closed;
    assert.deepEqual([opened, failed, error.code], ['open', 'error', code]);
    assert.deepEqual(closed, ['close', 1006, '']);
  });
}

test('a connection that breaks is no error but a close with 1006', async (t) => {
  const { url } = await frameServer(t, (peer) => peer.end());
  assert.deepEqual(await emitted(new WebSocket(url)).closed, [['open'], ['close', 1006, '']]);
});

test("the peer's close is heard behind its messages", async (t) => {
  const { url } = await frameServer(t, (peer) => {
    peer.write(Buffer.concat([frame(1, 'last'), frame(8, closeBody(3000, 'bye'))]));
    peer.on('data', () => peer.end());
  });
  assert.deepEqual(await emitted(new WebSocket(url)).closed, [
    ['open'],
    ['message', Buffer.from('last'), false],
    ['close', 3000, 'bye'],
  ]);
});

test('an error that nobody listens for is thrown, and the close still comes', async (t) => {
  const { port, server } = await tcpServer(t, () => {});
  server.close();
  await once(server, 'close');
  const thrown = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const closed = new Promise((resolve) => socket.on('close', resolve));
  assert.equal((await thrown).code, 'ECONNREFUSED');
  assert.equal(await closed, 1006);
});
