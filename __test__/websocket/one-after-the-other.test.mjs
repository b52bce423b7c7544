// Connections to one address are made one after the other.
// https://www.rfc-editor.org/rfc/rfc6455#section-4.1, step 2 of establishing a connection

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import {
  echo,
  FAILED,
  heard,
  listening,
  next,
  opening,
  readUntil,
  tcpServer,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

/** Opens and closes a connection to a server of its own: another one at this host would have come by then. */
async function meanwhile(t) {
  const { url } = await listening(t, echo);
  const socket = new WebSocket(url);
  await next(socket, 'open');
  socket.close();
  await next(socket, 'close');
}

test('the next handshake comes when the one before is done', async (t) => {
  const order = [];
  const { url, connections } = await tcpServer(t, async (socket, number) => {
    const head = await readUntil(socket, '\r\n\r\n');
    order.push(`request ${number}`);
    await meanwhile(t);
    // Only the next one has a connection meanwhile.
    assert.ok(connections() <= number + 2);
    order.push(`answer ${number}`);
    socket.write(opening(head));
  });
  const sockets = [new WebSocket(url), new WebSocket(url), new WebSocket(url)];
  await Promise.all(sockets.map((socket) => next(socket, 'open')));
  assert.deepEqual(order, ['request 0', 'answer 0', 'request 1', 'answer 1', 'request 2', 'answer 2']);
  // Those that are open keep nobody waiting.
  const another = new WebSocket(url);
  await next(another, 'open');
});

test('the next one comes when the one before has failed', async (t) => {
  const { url } = await tcpServer(t, async (socket, number) => {
    const head = await readUntil(socket, '\r\n\r\n');
    if (number === 0) socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    else socket.write(opening(head));
  });
  const first = heard(new WebSocket(url));
  await next(new WebSocket(url), 'open');
  assert.deepEqual(await first.closed, FAILED);
});

test('who gives up keeps nobody waiting', async (t) => {
  const { url, server } = await tcpServer(t, async (socket, number) => {
    const head = await readUntil(socket, '\r\n\r\n').catch(() => '');
    // The first one is never answered.
    if (number > 0) socket.write(opening(head));
  });
  const first = new WebSocket(url);
  await once(server, 'connection');
  const second = new WebSocket(url);
  const third = new WebSocket(url);
  const given = heard(second);
  second.close();
  assert.deepEqual(await given.closed, FAILED);
  first.close();
  await next(third, 'open');
});

test('all that wait for a host that never answers fail with the first one', async (t) => {
  const dead = await tcpServer(t, () => {});
  const other = await tcpServer(t, () => {});
  const timeout = { handshakeTimeoutMs: 1000 };
  const sockets = Array.from({ length: 20 }, () => heard(new WebSocket(dead.url, timeout)));
  const failed = [];
  for (const { closed } of sockets) closed.then((events) => failed.push(events));
  // One after the other, they would need twenty times that limit: as others do who fail at another host.
  let others = 0;
  for (; failed.length < 20; others += 1) await heard(new WebSocket(other.url, timeout)).closed;
  assert.deepEqual(failed, Array(20).fill(FAILED));
  assert.ok(others < 10, `${others} have failed one after the other meanwhile`);
});

test('the time limit begins anew when one ahead succeeds', async (t) => {
  const silent = await tcpServer(t, () => {});
  const elapsed = () => heard(new WebSocket(silent.url, { handshakeTimeoutMs: 500 })).closed;
  const { url } = await tcpServer(t, async (socket) => {
    const head = await readUntil(socket, '\r\n\r\n');
    await elapsed();
    socket.write(opening(head));
  });
  // The last one waits for longer than its limit, but for none of the others so long.
  const sockets = Array.from({ length: 9 }, () => new WebSocket(url, { handshakeTimeoutMs: 4000 }));
  const first = await Promise.all(sockets.map((socket) => Promise.race([next(socket, 'open'), next(socket, 'close')])));
  assert.deepEqual(
    first.map(({ type }) => type),
    Array(9).fill('open'),
  );
});

test('serializeHandshakes: false connects at once', async (t) => {
  const waiting = [];
  const both = new Promise((resolve) => {
    tcpServer(t, async (socket) => {
      waiting.push([socket, await readUntil(socket, '\r\n\r\n')]);
      if (waiting.length === 2) resolve();
    }).then(({ url }) => {
      sockets = [1, 2].map(() => new WebSocket(url, { serializeHandshakes: false }));
    });
  });
  let sockets;
  await both;
  for (const [socket, head] of waiting) socket.write(opening(head));
  await Promise.all(sockets.map((socket) => next(socket, 'open')));
});
