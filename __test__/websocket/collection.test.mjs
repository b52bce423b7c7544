// When a WebSocket may be collected. https://websockets.spec.whatwg.org/#garbage-collection

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collect } from '../helpers/garbage.mjs';
import {
  all,
  closeCode,
  frame,
  frameServer,
  heard,
  listening,
  next,
  opening,
  readUntil,
  TEXT,
  tcpServer,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

/** Opens a socket to this server, lets `listen` put listeners on it and keeps nothing of it. */
async function openAndDrop(url, listen = () => {}) {
  const socket = new WebSocket(url);
  await next(socket, 'open');
  listen(socket);
}

for (const [type, provoke] of [
  ['message', (peer) => peer.write(frame(TEXT, 'late'))],
  ['error', (peer) => peer.resetAndDestroy()],
  ['close', (peer) => peer.end()],
]) {
  test(`an open socket is held by a listener for ${type}, until that is removed`, async (t) => {
    const peers = [];
    const { url } = await frameServer(t, (peer) => peers.push(peer));
    const happened = new Promise((resolve) => {
      openAndDrop(url, (socket) => socket.addEventListener(type, resolve));
    });
    while (peers.length < 1) await new Promise(setImmediate);
    await collect();
    assert.equal(peers[0].readableLength, 0);
    provoke(peers[0]);
    await happened;
    await openAndDrop(url, (socket) => {
      const listener = () => assert.fail('it is not listened to any more');
      socket.addEventListener(type, listener);
      socket.removeEventListener(type, listener);
    });
    const said = all(peers[1]);
    while (!peers[1].closed) await collect();
    assert.equal(closeCode(await said), 1001);
  });
}

test('a socket that connects is held by a listener for open', async (t) => {
  let request;
  const { url } = await tcpServer(t, async (peer) => {
    request = { peer, head: await readUntil(peer, '\r\n\r\n') };
  });
  const opened = new Promise((resolve) => {
    new WebSocket(url).onopen = resolve;
  });
  while (request === undefined) await new Promise(setImmediate);
  await collect();
  request.peer.write(opening(request.head));
  await opened;
});

test('a thousand sockets that are opened and dropped: all are collected, and their servers told', async (t) => {
  const ends = [];
  const { server, url } = await listening(t, (socket) => ends.push(heard(socket).closed));
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(Array.from({ length: 100 }, () => openAndDrop(url)));
  }
  while (ends.length < 1000 || server.clients.size > 0) await collect();
  for (const events of await Promise.all(ends)) assert.deepEqual(events, [['close', 1001, '', true]]);
});
