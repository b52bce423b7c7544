// The events `upgrade` and `unexpected-response` of the client of `webwire/ws`, as those of `ws` itself.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { opening, readUntil, tcpServer } from '../helpers/websocket-ends.mjs';
import { ours, theirs } from '../helpers/ws.mjs';

/** A server of Node's that answers every request, upgrades too, with `serve`. */
async function answering(t, serve) {
  const server = createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `ws://127.0.0.1:${server.address().port}/path?query`;
}

/** The code that a socket closes with; `once` would reject at its error. */
const closed = (socket) => new Promise((resolve) => socket.once('close', resolve));

async function bodyOf(response) {
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks);
}

for (const [name, { WebSocket }] of [
  ['ours', ours],
  ['theirs', theirs],
]) {
  test(`upgrade comes before open, with the answer (${name})`, async (t) => {
    const lines = [
      'Set-Cookie: a=1',
      'X-Name: one',
      'Set-Cookie: b=2',
      'x-name: two',
      'Server: first',
      'Server: second',
    ];
    const { url } = await tcpServer(t, async (socket) => {
      const answer = opening(await readUntil(socket, '\r\n\r\n'), lines);
      socket.write(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${answer}`);
    });
    const socket = new WebSocket(url);
    t.after(() => socket.terminate());
    const events = [];
    socket.on('upgrade', (response) => events.push(['upgrade', socket.readyState, response]));
    socket.on('open', () => events.push(['open', socket.readyState]));
    await once(socket, 'open');
    const [[, state, response], ...rest] = events;
    assert.deepEqual([state, rest], [WebSocket.CONNECTING, [['open', WebSocket.OPEN]]]);
    const { statusCode, statusMessage, httpVersion, headers, rawHeaders } = response;
    assert.deepEqual([statusCode, statusMessage, httpVersion], [101, 'Switching Protocols', '1.1']);
    assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
    assert.deepEqual([headers['x-name'], headers.server, headers.upgrade], ['one, two', 'first', 'websocket']);
    assert.deepEqual(
      rawHeaders.slice(6),
      lines.flatMap((line) => line.split(': ')),
    );
  });

  test(`a socket that is closed when it hears upgrade never opens (${name})`, async (t) => {
    const { url } = await tcpServer(t, async (socket) => socket.write(opening(await readUntil(socket, '\r\n\r\n'))));
    const socket = new WebSocket(url);
    const events = [];
    socket.on('upgrade', () => socket.terminate());
    socket.on('open', () => events.push('open'));
    socket.on('error', ({ message }) => events.push(message));
    assert.deepEqual(
      [await closed(socket), events],
      [1006, ['WebSocket was closed before the connection was established']],
    );
  });

  test(`an answer 101 that opens nothing is an error (${name})`, async (t) => {
    for (const wrong of [
      (answer) => answer.replace(/(Sec-WebSocket-Accept: )./, '$1!'),
      (answer) => answer.replace('websocket', 'other'),
      (answer) => answer.replace(/\r\n\r\n$/, '\r\nSec-WebSocket-Protocol: x\r\n\r\n'),
      (answer) => answer.replace(/\r\n\r\n$/, '\r\nSec-WebSocket-Extensions: x\r\n\r\n'),
    ]) {
      const { url } = await tcpServer(t, async (socket) => {
        socket.write(wrong(opening(await readUntil(socket, '\r\n\r\n'))));
      });
      const socket = new WebSocket(url);
      const events = [];
      for (const type of ['upgrade', 'unexpected-response', 'open', 'error']) socket.on(type, () => events.push(type));
      assert.equal(await closed(socket), 1006);
      // There the answer is shown before it is looked at.
      assert.deepEqual(events, name === 'ours' ? ['error'] : ['upgrade', 'error']);
    }
  });

  test(`another answer can be read, and leaves the socket to the script (${name})`, async (t) => {
    const url = await answering(t, (request, response) => {
      response.writeHead(401, { 'X-Why': ['a', 'b'], 'Set-Cookie': 'c=1' });
      response.write(`${request.method} ${request.url} `);
      response.end(request.headers['x-mine']);
    });
    const socket = new WebSocket(url, { headers: { 'X-Mine': 'mine' } });
    const events = [];
    for (const type of ['open', 'error', 'close']) socket.on(type, () => events.push(type));
    const [request, response] = await once(socket, 'unexpected-response');
    assert.deepEqual([response.statusCode, response.statusMessage], [401, 'Unauthorized']);
    assert.deepEqual([response.headers['x-why'], response.headers['set-cookie']], ['a, b', ['c=1']]);
    assert.deepEqual([request.method, request.path, request.getHeader('x-mine')].flat(), [
      'GET',
      '/path?query',
      'mine',
    ]);
    assert.equal(String(await bodyOf(response)), 'GET /path?query mine');
    assert.deepEqual([socket.readyState, events], [WebSocket.CONNECTING, []]);
    const end = closed(socket);
    socket.terminate();
    assert.equal(await end, 1006);
    assert.deepEqual(events, ['error', 'close']);
  });

  test(`a redirect is one too (${name})`, async (t) => {
    const url = await answering(t, (_request, response) => response.writeHead(302, { Location: 'ws://x/' }).end());
    const socket = new WebSocket(url);
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    assert.deepEqual([response.statusCode, response.headers.location], [302, 'ws://x/']);
    const end = closed(socket);
    socket.close();
    await end;
  });

  test(`a long body comes as it is read (${name})`, async (t) => {
    const body = Buffer.alloc(32 << 20, 'body');
    let written = 0;
    const url = await answering(t, async (_request, response) => {
      response.writeHead(403);
      response.on('error', () => {});
      for (let at = 0; at < body.length; at += 65_536) {
        if (!response.write(body.subarray(at, at + 65_536))) await once(response, 'drain');
        written = at;
      }
      response.end();
    });
    const socket = new WebSocket(url);
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    await once(response, 'readable');
    assert.ok(written < body.length / 2);
    assert.ok((await bodyOf(response)).equals(body));
    const end = closed(socket);
    socket.terminate();
    await end;
  });

  test(`a body that is cut off (${name})`, async (t) => {
    const { url } = await tcpServer(t, async (socket) => {
      await readUntil(socket, '\r\n\r\n');
      socket.end('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 10\r\n\r\nhalf');
    });
    const socket = new WebSocket(url);
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    await assert.rejects(bodyOf(response), { code: 'ECONNRESET' });
    assert.equal(socket.readyState, WebSocket.CONNECTING);
    const end = closed(socket);
    socket.terminate();
    await end;
  });

  test(`without a listener it is an error (${name})`, async (t) => {
    const url = await answering(t, (_request, response) => response.writeHead(418).end('tea'));
    const socket = new WebSocket(url);
    const end = closed(socket);
    const [error] = await once(socket, 'error');
    assert.equal(error.message, 'Unexpected server response: 418');
    await end;
  });
}
