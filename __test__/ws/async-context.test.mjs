// The stores of AsyncLocalStorage in events and callbacks of `webwire/ws`, as in those of `ws` itself.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { tcpServer } from '../helpers/websocket-ends.mjs';
import { echo, ours, serve, theirs } from '../helpers/ws.mjs';

const storage = new AsyncLocalStorage();

/** The store in each event of a socket until it is closed. */
function stores(socket) {
  const seen = {};
  const note = (type) => {
    seen[type] = storage.getStore();
  };
  for (const type of ['open', 'upgrade', 'message', 'ping', 'pong', 'error']) socket.on(type, () => note(type));
  return new Promise((resolve) => {
    socket.on('close', () => {
      note('close');
      resolve(seen);
    });
  });
}

for (const [name, implementation] of Object.entries({ ours, theirs })) {
  const { WebSocket } = implementation;

  test(`a client's events have the stores of where it was made (${name})`, async (t) => {
    const { url } = await serve(t, theirs, {}, (socket) => {
      echo(socket);
      socket.ping();
    });
    const socket = storage.run('made', () => new WebSocket(url));
    const seen = storage.run('listening', () => stores(socket));
    await storage.run('waiting', async () => {
      await once(socket, 'open');
      socket.ping();
      const ponged = once(socket, 'pong');
      socket.send('text');
      await once(socket, 'message');
      await ponged;
      socket.close();
    });
    assert.deepEqual(await seen, {
      upgrade: 'made',
      open: 'made',
      ping: 'made',
      pong: 'made',
      message: 'made',
      close: 'made',
    });
  });

  test(`so has its failure (${name})`, async (t) => {
    const { port, server } = await tcpServer(t, () => {});
    await new Promise((resolve) => server.close(resolve));
    const socket = storage.run('made', () => new WebSocket(`ws://127.0.0.1:${port}`));
    assert.deepEqual(await stores(socket), { error: 'made', close: 'made' });
  });

  test(`a callback of send() has the stores of its caller (${name})`, async (t) => {
    const { url } = await serve(t, theirs, {}, echo);
    const socket = storage.run('made', () => new WebSocket(url));
    await once(socket, 'open');
    const written = [];
    const sent = (caller, ...args) =>
      storage.run(caller, () => {
        return new Promise((resolve) => {
          socket.send(...args, (error) => {
            written.push([caller, storage.getStore(), Boolean(error)]);
            resolve();
          });
        });
      });
    await Promise.all([
      sent('one', 'text'),
      sent('two', Buffer.alloc(1 << 20)),
      sent('three', 'part', { fin: false }),
      sent('four', 'part', { fin: true }),
      sent('five', ''),
    ]);
    assert.deepEqual(
      written,
      ['one', 'two', 'three', 'four', 'five'].map((caller) => [caller, caller, false]),
    );
    const closed = once(socket, 'close');
    socket.terminate();
    await closed;
    const late = await storage.run('late', () => {
      return new Promise((resolve) => socket.send('text', (error) => resolve([storage.getStore(), error.name])));
    });
    assert.deepEqual(late, ['late', 'Error']);
  });
}

/** The stores in the events of a server of this class, and in those of its socket. */
async function serverStores(t, { WebSocketServer }) {
  const server = storage.run('made', () => new WebSocketServer({ port: 0, host: '127.0.0.1' }));
  t.after(() => server.close());
  await once(server, 'listening');
  const seen = {};
  const closed = new Promise((resolve) => {
    server.on('headers', () => {
      seen.headers = storage.getStore();
    });
    server.on('connection', (socket) => {
      seen.connection = storage.getStore();
      resolve(stores(socket));
    });
  });
  const client = storage.run('client', () => new theirs.WebSocket(`ws://127.0.0.1:${server.address().port}`));
  await once(client, 'open');
  client.send('text');
  client.close();
  return { ...seen, ...(await closed) };
}

test("a server's events have the stores of Node's upgrade as in ws, its sockets those of the server's", async (t) => {
  const { headers, connection, ...socket } = await serverStores(t, ours);
  const other = await serverStores(t, theirs);
  assert.deepEqual([headers, connection], [other.headers, other.connection]);
  assert.deepEqual(socket, { message: connection, close: connection });
});

test("a server's socket has the stores of its handleUpgrade", async (t) => {
  const http = createServer();
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => http.close());
  const server = new ours.WebSocketServer({ noServer: true });
  const closed = new Promise((resolve) => {
    http.on('upgrade', (request, socket, head) => {
      storage.run(request.url, () => {
        server.handleUpgrade(request, socket, head, (made) => {
          assert.equal(storage.getStore(), '/there');
          resolve(stores(made));
        });
      });
    });
  });
  const client = new theirs.WebSocket(`ws://127.0.0.1:${http.address().port}/there`);
  await once(client, 'open');
  client.send('text');
  client.close();
  assert.deepEqual(await closed, { message: '/there', close: '/there' });
});
