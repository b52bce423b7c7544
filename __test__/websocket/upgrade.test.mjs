// A WebSocketServer behind Node's http server: handleUpgrade, attaching, and what carries the connection.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import Ws from 'ws';
import { createCertificate } from '../helpers/certificate.mjs';
import {
  all,
  closeCode,
  echo,
  FAILED,
  frame,
  heard,
  KEY,
  next,
  request as rawRequest,
  readUntil,
  tcpClient,
  WebSocket,
  WebSocketServer,
} from '../helpers/websocket-ends.mjs';

const { cert, key } = createCertificate();
/** First byte of a Close frame. */
const CLOSE_FRAME = 0x88;

/** The kinds of server that a WebSocketServer can stand behind; `ws` options with which a client finds it. */
const CARRIERS = {
  'a TCP socket': {},
  'a TLS socket of Node': { tls: true },
  'a unix-domain socket': { path: true },
  'a Duplex': { duplex: true },
};

/** Node's http server and a WebSocketServer behind it, which gets upgrades through `upgraded(request, socket, head)`. */
async function behind(t, { tls = false, path = false, duplex = false } = {}, options = { noServer: true }) {
  const node = tls ? https.createServer({ cert, key }) : http.createServer();
  const server = new WebSocketServer(options.noServer ? options : { ...options, server: node });
  t.after(async () => {
    await server.close({ timeoutMs: 0 });
    node.closeAllConnections();
    node.close();
  });
  let at = { port: 0, host: '127.0.0.1' };
  if (path) {
    const folder = mkdtempSync(join(tmpdir(), 'webwire-'));
    t.after(() => rmSync(folder, { recursive: true }));
    at = { path: join(folder, 'socket') };
  }
  node.listen(at);
  await once(node, 'listening');
  const { port } = path ? {} : node.address();
  if (duplex) {
    const [emit] = node.listeners('connection');
    node.removeAllListeners('connection');
    node.on('connection', (socket) => emit.call(node, wrapped(socket)));
  }
  const url = path ? `ws+unix:${at.path}:/a?b` : `${tls ? 'wss' : 'ws'}://127.0.0.1:${port}/a?b`;
  return {
    node,
    server,
    port,
    url,
    connect: (...rest) => new Ws(url, ...(rest.length > 0 ? rest : [[]]), { ca: cert }),
  };
}

/** The same bytes through a stream that is no socket. */
function wrapped(socket, written = (_chunk, done) => done()) {
  const duplex = new Duplex({
    read() {
      socket.resume();
    },
    write(chunk, _encoding, done) {
      socket.write(chunk, () => written(chunk, done));
    },
    final(done) {
      socket.end(done);
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk) => {
    if (!duplex.push(chunk)) socket.pause();
  });
  socket.on('end', () => duplex.push(null));
  socket.on('close', () => duplex.destroy());
  return duplex;
}

for (const [name, carrier] of Object.entries(CARRIERS)) {
  test(`${name} becomes a WebSocket`, async (t) => {
    const { node, server, connect: client } = await behind(t, carrier);
    const accepted = new Promise((resolve) => {
      node.on('upgrade', async (request, socket, head) => {
        const waiting = server.handleUpgrade(request, socket, head);
        assert.deepEqual([waiting.url, [...waiting.protocols]], ['/a?b', ['x', 'y']]);
        assert.equal(waiting.headers.get('upgrade'), 'websocket');
        if (carrier.path || carrier.duplex) assert.equal(waiting.remoteAddress, undefined);
        else assert.equal(waiting.remoteAddress.address, '127.0.0.1');
        const own = await waiting.accept({ protocol: 'y', headers: { 'X-Hi': 'there' } });
        assert.equal(own.readyState, WebSocket.OPEN);
        echo(own);
        resolve(own);
      });
    });
    const socket = client(['x', 'y']);
    const upgrade = once(socket, 'upgrade');
    await once(socket, 'open');
    assert.equal((await upgrade)[0].headers['x-hi'], 'there');
    assert.equal(socket.protocol, 'y');
    const own = await accepted;
    assert.equal(own.url.startsWith(carrier.tls ? 'wss:' : 'ws:'), true);
    for (const data of ['hello', Buffer.alloc(3_000_000, 7), '']) {
      const answer = once(socket, 'message');
      socket.send(data);
      assert.equal(Buffer.compare((await answer)[0], Buffer.from(data)), 0);
    }
    const closed = heard(own).closed;
    socket.close(3001, 'bye');
    assert.deepEqual((await once(socket, 'close')).map(String), ['3001', 'bye']);
    assert.deepEqual((await closed).at(-1), ['close', 3001, 'bye', true]);
  });

  test(`${name}: many messages both ways at once, none lost, in order`, async (t) => {
    const { node, server, connect: client } = await behind(t, carrier);
    const COUNT = 300;
    const message = (index) => Buffer.alloc(20_000, index & 255);
    const received = [];
    node.on('upgrade', async (request, stream, head) => {
      const own = await server.handleUpgrade(request, stream, head).accept();
      own.binaryType = 'nodebuffer';
      own.onmessage = ({ data }) => received.push(data);
      for (let i = 0; i < COUNT; i += 1) own.send(message(i));
      own.close(1000);
    });
    const socket = client();
    const sent = [];
    socket.on('message', (data) => {
      socket.send(message(sent.length));
      sent.push(data);
    });
    await once(socket, 'close');
    for (const [index, data] of [...sent, ...received].entries()) {
      assert.equal(Buffer.compare(data, message(index % COUNT)), 0);
    }
    assert.equal(sent.length, COUNT);
  });

  test(`${name} that breaks, and one that is cut off`, async (t) => {
    const { node, server, connect: client } = await behind(t, carrier);
    const sockets = [];
    node.on('upgrade', async (request, stream, head) => {
      sockets.push(await server.handleUpgrade(request, stream, head).accept());
    });
    const first = client();
    await once(first, 'open');
    while (sockets.length < 1) await new Promise(setImmediate);
    const { closed } = heard(sockets[0]);
    first.terminate();
    assert.deepEqual(await closed, FAILED);
    const second = client();
    await once(second, 'open');
    const gone = once(second, 'close');
    await server.close({ timeoutMs: 0 });
    assert.ok([1001, 1006].includes((await gone)[0]));
  });

  test(`${name}: a request that is rejected`, async (t) => {
    const { node, server, connect: client } = await behind(t, carrier);
    node.on('upgrade', (request, stream, head) => {
      server.handleUpgrade(request, stream, head).reject(403, { headers: { 'X-Why': 'no' }, body: 'go away' });
    });
    const socket = client();
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    assert.deepEqual([response.statusCode, response.headers['x-why']], [403, 'no']);
    let body = '';
    for await (const chunk of response) body += chunk;
    assert.equal(body, 'go away');
    socket.terminate();
  });
}

test('what comes with the request is read after the answer', async (t) => {
  for (const carrier of [{}, { duplex: true }]) {
    const { node, server, port } = await behind(t, carrier);
    const [upgraded] = [once(node, 'upgrade')];
    const client = await tcpClient(t, port);
    const hello = frame(1, 'hello', { mask: [1, 2, 3, 4] });
    client.write(Buffer.concat([Buffer.from(rawRequest(port)), hello, hello.subarray(0, 3)]));
    const [request, socket, head] = await upgraded;
    // What Node reads between the event and the call stands in the socket.
    client.write(hello.subarray(3));
    await once(socket, 'readable');
    const own = await server.handleUpgrade(request, socket, head).accept();
    const texts = [(await next(own, 'message')).data, (await next(own, 'message')).data];
    assert.deepEqual(texts, ['hello', 'hello']);
    client.end();
  }
});

test('Node does not count what was taken over, and does not shut it down', async (t) => {
  const { node, server, url } = await behind(t);
  node.on('upgrade', async (request, socket, head) => {
    const { remotePort } = socket;
    const waiting = server.handleUpgrade(request, socket, head);
    assert.equal(socket.destroyed, true);
    assert.equal(socket.remotePort, remotePort);
    assert.equal(waiting.remoteAddress.port, remotePort);
    echo(await waiting.accept());
  });
  const client = new WebSocket(url);
  await next(client, 'open');
  node.closeAllConnections();
  await new Promise((resolve) => node.close(resolve));
  client.send('still there');
  assert.equal((await next(client, 'message')).data, 'still there');
  client.close();
  await next(client, 'close');
});

test('requests that are refused are told what a listener of its own tells them', async (t) => {
  const { node, server, port } = await behind(t);
  node.on('upgrade', (request, socket, head) => {
    assert.equal(server.handleUpgrade(request, socket, head), undefined);
  });
  const good = rawRequest(port);
  for (const [bytes, status] of [
    [good.replace('Upgrade: websocket', 'Upgrade: h2c'), 426],
    [good.replace('Version: 13', 'Version: 8'), 426],
    [good.replace('GET', 'POST'), 400],
    [good.replace('HTTP/1.1', 'HTTP/1.0'), 400],
    [good.replace(KEY, 'dGhl'), 400],
    [rawRequest(port, ['Sec-WebSocket-Protocol: a, a']), 400],
  ]) {
    const client = await tcpClient(t, port);
    client.write(bytes);
    const head = await readUntil(client, '\r\n\r\n');
    assert.match(head, new RegExp(`^HTTP/1.1 ${status} `), bytes);
    if (status === 426) assert.match(head, /^Sec-WebSocket-Version: 13\r$/m);
    client.destroy();
  }
});

test('more requests than may wait are refused with 503, and one whose client has gone is not made', async (t) => {
  const { node, server, port } = await behind(t, {}, { noServer: true, maxPendingHandshakes: 1 });
  const ask = async () => {
    const upgraded = once(node, 'upgrade');
    const client = await tcpClient(t, port);
    client.write(rawRequest(port));
    return { client, upgrade: await upgraded };
  };
  const first = await ask();
  const waiting = server.handleUpgrade(...first.upgrade);
  const second = await ask();
  assert.equal(server.handleUpgrade(...second.upgrade), undefined);
  assert.match(await readUntil(second.client, '\r\n\r\n'), /^HTTP\/1.1 503 /);
  first.client.destroy();
  await next(waiting.signal, 'abort');
  const third = await ask();
  third.upgrade[1].destroy();
  assert.equal(server.handleUpgrade(...third.upgrade), undefined);
  const fourth = await ask();
  await server.close();
  assert.equal(server.handleUpgrade(...fourth.upgrade), undefined);
  assert.match(await readUntil(fourth.client, '\r\n\r\n'), /^HTTP\/1.1 503 /);
});

test('a request that nobody answers ends at its time limit', async (t) => {
  const { node, server, port } = await behind(t, {}, { noServer: true, handshakeTimeoutMs: 50 });
  const upgraded = once(node, 'upgrade');
  const client = await tcpClient(t, port);
  client.write(rawRequest(port));
  const waiting = server.handleUpgrade(...(await upgraded));
  client.resume();
  await Promise.all([next(waiting.signal, 'abort'), once(client, 'close')]);
});

test('attached servers, each on its path', async (t) => {
  const { node, server, port } = await behind(t, {}, { path: '/one' });
  const second = new WebSocketServer({ server: node, path: '/two' });
  await Promise.all([server.ready, second.ready]);
  assert.equal(server.address().port, port);
  server.onconnection = ({ socket }) => socket.send('one');
  second.onconnection = ({ socket, request }) => socket.send(request.url);
  const said = async (path) => (await next(new WebSocket(`ws://127.0.0.1:${port}${path}`), 'message')).data;
  assert.deepEqual([await said('/one'), await said('/two?a')], ['one', '/two?a']);
  await second.close();
  assert.throws(() => second.address(), { name: 'InvalidStateError' });
  assert.equal(node.listenerCount('upgrade'), 1);
  // Now nobody else can serve it.
  const client = await tcpClient(t, port);
  client.write(rawRequest(port));
  assert.match(await readUntil(client, '\r\n\r\n'), /^HTTP\/1.1 404 /);
  assert.equal(await said('/one'), 'one');
  const response = await fetch(`http://127.0.0.1:${port}/one`, { signal: AbortSignal.abort() }).catch(() => 'aborted');
  assert.equal(response, 'aborted');
});

test('an attached server is asked through incomingRequests as well', async (t) => {
  const { server, url } = await behind(t, {}, {});
  const socket = new WebSocket(url);
  const closed = next(socket, 'close');
  for await (const request of server.incomingRequests) {
    assert.equal(request.url, '/a?b');
    (await request.accept()).close(3003);
    break;
  }
  assert.equal((await closed).code, 3003);
  const second = new WebSocket(url);
  const secondClosed = next(second, 'close');
  for await (const request of server.incomingRequests) {
    (await request.accept()).close(3004);
    break;
  }
  assert.equal((await secondClosed).code, 3004);
});

test('a listener of its own serves one path', async (t) => {
  const server = new WebSocketServer({ host: '127.0.0.1', path: '/only' });
  await server.ready;
  t.after(() => server.close({ timeoutMs: 0 }));
  const { port } = server.address();
  server.onconnection = ({ socket }) => socket.close(3000);
  assert.equal((await next(new WebSocket(`ws://127.0.0.1:${port}/only?x`), 'close')).code, 3000);
  for (const [target, status] of [
    ['/', 404],
    ['/only/', 404],
    ['http://other.example/only?x', 101],
    ['http://other.example', 404],
  ]) {
    const client = await tcpClient(t, port);
    client.write(rawRequest(port).replace('/', target));
    assert.match(await readUntil(client, '\r\n\r\n'), new RegExp(`^HTTP/1.1 ${status} `), target);
  }
});

test('options that exclude each other', () => {
  for (const options of [{ noServer: true, port: 1 }, { server: 1 }, { server: http.createServer(), noServer: true }]) {
    assert.throws(() => new WebSocketServer(options), TypeError);
  }
  const server = new WebSocketServer({ noServer: true });
  assert.throws(() => server.address(), { name: 'InvalidStateError' });
  assert.throws(() => server.handleUpgrade(), TypeError);
  return Promise.all([server.ready, server.close()]);
});

test('a peer that ends before the stream says that it has written our Close frame closes clean', async (t) => {
  const { node, server, connect: client } = await behind(t);
  const other = await behind(t);
  other.node.on('upgrade', async (...upgraded) => echo(await other.server.handleUpgrade(...upgraded).accept()));
  const beside = other.connect();
  await once(beside, 'open');
  const [emit] = node.listeners('connection');
  node.removeAllListeners('connection');
  const writes = [];
  node.on('connection', (socket) => {
    const duplex = wrapped(socket, (chunk, done) => {
      if (chunk[0] !== CLOSE_FRAME) return done();
      // The end is known to the connection when another one has got an answer behind it.
      writes.push(
        once(duplex, 'end').then(async () => {
          beside.send('x');
          await once(beside, 'message');
          done();
        }),
      );
    });
    emit.call(node, duplex);
  });
  const accepted = once(node, 'upgrade').then((upgraded) => server.handleUpgrade(...upgraded).accept());
  const socket = client();
  await once(socket, 'open');
  const { closed } = heard(await accepted);
  socket.close(3001, 'bye');
  assert.deepEqual((await closed).at(-1), ['close', 3001, 'bye', true]);
  assert.equal((await Promise.all(writes)).length, 1);
});

test('close() of a server without a listener keeps the process until it has closed', () => {
  const program = `
    const { WebSocketServer } = require(${JSON.stringify(createRequire(import.meta.url).resolve('../../index.js'))});
    new WebSocketServer({ noServer: true }).close({ timeoutMs: 0 }).then(() => console.log('closed'));`;
  const { stdout } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  assert.equal(stdout, 'closed\n');
});

test('a broken frame on a stream of Node gets its answer', async (t) => {
  for (const carrier of [{}, { duplex: true }]) {
    const { node, server, port } = await behind(t, carrier);
    node.on('upgrade', async (request, socket, head) => server.handleUpgrade(request, socket, head).accept());
    const client = connect(port, '127.0.0.1');
    client.write(rawRequest(port) + rawRequest(port));
    await readUntil(client, '\r\n\r\n');
    assert.equal(closeCode(await all(client)), 1002);
  }
});

test('of several servers behind one http server each serves its path, and one says 404 for the rest', async (t) => {
  const { node, server, port } = await behind(t, {}, { path: '/a' });
  const second = new WebSocketServer({ server: node, path: '/b' });
  t.after(() => second.close());
  for (const [path, one] of [
    ['/a', server],
    ['/b?c', second],
  ]) {
    const connection = next(one, 'connection');
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    await next(socket, 'open');
    assert.equal((await connection).request.url, path);
    socket.close();
    await next(socket, 'close');
  }
  const refused = async (path) => {
    const client = await tcpClient(t, port);
    client.write(rawRequest(port).replace('/', path));
    const answer = String(await all(client));
    assert.deepEqual(answer.match(/HTTP\/1.1 \d+/g), ['HTTP/1.1 404'], path);
  };
  await refused('/c');
  await server.close();
  await refused('/a');
});
