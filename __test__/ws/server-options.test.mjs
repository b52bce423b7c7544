// Options and methods of the server of `webwire/ws` that its frameworks use, as those of `ws` itself.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Server } from 'node:net';
import { test } from 'node:test';
import { all, CLOSE, frame, frameClient, frames, request, tcpClient } from '../helpers/websocket-ends.mjs';
import { echo, emitted, ours, serve, theirs } from '../helpers/ws.mjs';

test('backlog is what the system is asked for', async (t) => {
  const listen = t.mock.method(Server.prototype, 'listen');
  for (const [backlog, expected] of [
    [7, 7],
    [null, undefined],
    [undefined, undefined],
  ]) {
    await serve(t, ours, { backlog });
    assert.equal(listen.mock.calls.at(-1).arguments[0].backlog, expected);
  }
});

test('a closeTimeout that is none', () => {
  for (const closeTimeout of ['abc', Number.NaN, -1, Number.POSITIVE_INFINITY, 2 ** 32, 1n]) {
    assert.throws(() => new ours.WebSocketServer({ noServer: true, closeTimeout }), TypeError);
  }
});

for (const [name, implementation] of Object.entries({ ours, theirs })) {
  const { WebSocketServer, WebSocket } = implementation;

  test(`shouldHandle may be overridden, by the class or in place (${name})`, async (t) => {
    class Choosy extends WebSocketServer {
      shouldHandle({ url, headers }) {
        return url === '/there' && headers['x-one'] === '1';
      }
    }
    const { server, url } = await serve(t, { WebSocketServer: Choosy }, { path: '/elsewhere' });
    const opened = async (path, options) => {
      const socket = new theirs.WebSocket(new URL(path, url), options);
      const outcome = await new Promise((resolve) => {
        socket.on('open', () => resolve('open')).on('error', ({ message }) => resolve(message));
      });
      socket.terminate();
      return outcome;
    };
    const headers = { 'X-One': '1' };
    assert.equal(await opened('/there', { headers }), 'open');
    assert.equal(await opened('/there'), 'Unexpected server response: 400');
    assert.equal(await opened('/elsewhere', { headers }), 'Unexpected server response: 400');
    server.shouldHandle = () => false;
    assert.equal(await opened('/there', { headers }), 'Unexpected server response: 400');
    // What is no boolean counts as one.
    server.shouldHandle = async () => false;
    assert.equal(await opened('/there'), 'open');
  });

  for (const [autoPong, expected] of [
    [1, ['pong', 'message']],
    [null, ['message']],
  ]) {
    test(`autoPong: ${autoPong} (${name})`, async (t) => {
      const { url } = await serve(t, implementation, { autoPong }, (socket) => {
        socket.on('ping', () => socket.send('it has come'));
      });
      const socket = new theirs.WebSocket(url);
      await once(socket, 'open');
      const heard = [];
      socket.on('pong', () => heard.push('pong'));
      socket.ping();
      await once(socket, 'message');
      assert.deepEqual([...heard, 'message'], expected);
      socket.terminate();
    });
  }

  test(`resume() goes on after pause() (${name})`, async (t) => {
    const peers = [];
    const { url } = await serve(t, theirs, {}, (socket) => {
      peers.push(socket);
      echo(socket);
    });
    const socket = new WebSocket(url);
    const witness = new WebSocket(url);
    t.after(() => witness.terminate());
    await Promise.all([once(socket, 'open'), once(witness, 'open')]);
    const heard = [];
    socket.on('message', (data) => heard.push(`${data}`));
    socket.pause();
    assert.equal(socket.isPaused, true);
    socket.send('one');
    // Whatever is not held back would be here by then.
    for (let round = 0; round < 10; round++) {
      witness.send('round');
      await once(witness, 'message');
    }
    assert.deepEqual(heard, []);
    const message = once(socket, 'message');
    socket.resume();
    assert.equal(socket.isPaused, false);
    await message;
    assert.deepEqual(heard, ['one']);
    const closed = once(socket, 'close');
    socket.terminate();
    await closed;
    socket.pause();
    assert.equal(socket.isPaused, false);
    socket.resume();
    assert.equal(peers.length, 2);
  });

  test(`closeTimeout: a client that does not answer a close is left (${name})`, async (t) => {
    const { server } = await serve(t, implementation, { closeTimeout: 50 });
    const connected = once(server, 'connection');
    const peer = await frameClient(t, server.address().port);
    const received = all(peer);
    const [socket] = await connected;
    const { closed } = emitted(socket);
    socket.close(4000, 'why');
    assert.deepEqual(await closed, [['close', 1006, '']]);
    assert.equal(server.clients.size, 0);
    const [{ first, payload }] = frames(await received);
    assert.deepEqual([first & 15, payload.readUInt16BE(), `${payload.subarray(2)}`], [CLOSE, 4000, 'why']);
  });

  test(`without options it is a TypeError (${name})`, () => {
    for (const options of [undefined, null, {}]) assert.throws(() => new WebSocketServer(options), TypeError);
  });
}

test('skipUTF8Validation: here text is always checked', async (t) => {
  const { server } = await serve(t, ours, { skipUTF8Validation: true });
  const connected = once(server, 'connection');
  const peer = await tcpClient(t, server.address().port);
  peer.write(request(server.address().port));
  const [socket] = await connected;
  const { closed } = emitted(socket);
  peer.write(frame(1, [0xff], { mask: [1, 2, 3, 4] }));
  assert.equal((await closed)[0][1].code, 'WS_ERR_INVALID_UTF8');
});
