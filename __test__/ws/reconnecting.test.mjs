// Clients of the standard's interface, unmodified, over our classes: reconnecting-websocket, partysocket and rxjs. The
// server is that of `ws`.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import PartySocket, { WebSocket as PartyWebSocket } from 'partysocket';
import ReconnectingWebSocket from 'reconnecting-websocket';
import { webSocket } from 'rxjs/webSocket';
import { WebSocket as Standard } from 'webwire';
import { echo, ours, serve, theirs } from '../helpers/ws.mjs';

const next = (socket, type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));

/** An echo that says which connection it is. */
async function counting(t) {
  let count = 0;
  return await serve(t, theirs, {}, (socket) => {
    const number = ++count;
    socket.on('message', (data, isBinary) => socket.send(isBinary ? data : `${number}: ${data}`));
  });
}

const FAST = { minReconnectionDelay: 1, maxReconnectionDelay: 5, connectionTimeout: 600_000 };

for (const [name, WebSocket] of [
  ['webwire', Standard],
  ['webwire/ws', ours.WebSocket],
]) {
  for (const [library, Reconnecting] of [
    ['reconnecting-websocket', ReconnectingWebSocket],
    ['partysocket', PartyWebSocket],
  ]) {
    test(`${library} over ${name} sends what waited, and connects again`, async (t) => {
      const { url, server } = await counting(t);
      const socket = new Reconnecting(url, [], { WebSocket, ...FAST });
      t.after(() => socket.close());
      socket.binaryType = 'arraybuffer';
      let message = next(socket, 'message');
      socket.send('early');
      assert.equal((await message).data, '1: early');
      message = next(socket, 'message');
      socket.send(new Uint8Array([1, 2]));
      assert.deepEqual((await message).data, new Uint8Array([1, 2]).buffer);
      const again = next(socket, 'open');
      const closed = next(socket, 'close');
      for (const client of server.clients) client.close(4000, 'again');
      const { code, reason } = await closed;
      assert.deepEqual([code, reason], [4000, 'again']);
      await again;
      message = next(socket, 'message');
      socket.send('late');
      assert.equal((await message).data, '2: late');
    });
  }

  test(`partysocket's rooms over ${name}`, async (t) => {
    const paths = [];
    const { url } = await serve(t, theirs, {}, (socket, request) => {
      paths.push(request.url);
      echo(socket);
    });
    const socket = new PartySocket({ host: new URL(url).host, room: 'room', id: 'me', WebSocket, ...FAST });
    t.after(() => socket.close());
    const message = next(socket, 'message');
    socket.send('text');
    assert.equal(String((await message).data), 'text');
    assert.match(paths[0], /^\/parties\/main\/room\?_pk=me/);
  });

  test(`rxjs over ${name}: values both ways, completion and errors`, async (t) => {
    const { url, server } = await serve(t, theirs, {}, echo);
    const subject = webSocket({ url, WebSocketCtor: WebSocket });
    const received = [];
    const completed = new Promise((resolve, reject) => {
      subject.subscribe({
        next(value) {
          received.push(value);
          if (received.length === 2) subject.complete();
        },
        error: reject,
        complete: resolve,
      });
    });
    subject.next({ one: 1 });
    subject.next(['zwei', null]);
    await completed;
    assert.deepEqual(received, [{ one: 1 }, ['zwei', null]]);
    const failing = webSocket({ url, WebSocketCtor: WebSocket });
    const failed = new Promise((resolve) => failing.subscribe({ error: resolve }));
    const [there] = await once(server, 'connection');
    there.terminate();
    // The standard's class says `error` first, `ws`'s only `close`.
    const { type, code } = await failed;
    assert.ok(type === 'error' || code === 1006);
  });
}
