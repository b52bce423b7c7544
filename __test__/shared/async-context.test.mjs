// AsyncLocalStorage: in an object's events the stores are active that were so where it was made.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { test } from 'node:test';
import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import {
  frame,
  frameServer,
  listening,
  next,
  TEXT,
  WebSocket,
  WebSocketServer,
  WebSocketStream,
} from '../helpers/websocket-ends.mjs';

const storage = new AsyncLocalStorage();

/** The store in each event of a socket that is made under this store. */
function stores(url, store, types) {
  return storage.run(store, () => {
    const socket = new WebSocket(url);
    const seen = [];
    for (const type of types) socket.addEventListener(type, () => seen.push([type, storage.getStore()]));
    return { socket, seen };
  });
}

test('each socket has its own store in its events', async (t) => {
  const { url } = await listening(t, (socket) => {
    socket.send('hello');
    socket.close(1000);
  });
  const types = ['open', 'message', 'close'];
  const sockets = ['one', 'two', undefined].map((store) => [store, stores(url, store, types)]);
  await Promise.all(sockets.map(([, { socket }]) => next(socket, 'close')));
  for (const [store, { seen }] of sockets)
    assert.deepEqual(
      seen,
      types.map((type) => [type, store]),
    );
});

test('failures too, dialled or not', async () => {
  for (const url of ['ws://nowhere.invalid/', 'ws://127.0.0.1:25/']) {
    const { socket, seen } = stores(url, url, ['error', 'close']);
    await next(socket, 'close');
    assert.deepEqual(seen, [
      ['error', url],
      ['close', url],
    ]);
  }
});

test('a store that a listener enters is not seen by other sockets', async (t) => {
  const { url } = await frameServer(t, (socket) => {
    socket.write(Buffer.concat(['a', 'b', 'c'].map((text) => frame(TEXT, text))));
  });
  const sockets = ['one', 'two', undefined].map((store) => stores(url, store, ['message']));
  const heard = sockets.map(
    ({ socket }, index) =>
      new Promise((resolve) => {
        socket.addEventListener('message', ({ data }) => {
          if (index === 0) storage.enterWith(data);
          if (data === 'c') resolve();
        });
      }),
  );
  await Promise.all(heard);
  for (const { socket } of sockets) socket.close();
  assert.deepEqual(sockets[1].seen, new Array(3).fill(['message', 'two']));
  assert.deepEqual(sockets[2].seen, new Array(3).fill(['message', undefined]));
});

test("a store where a listener is added is not the event's", async (t) => {
  const { url } = await listening(t, () => {});
  const { socket } = stores(url, 'made', []);
  const seen = await new Promise((resolve) => {
    storage.run('added', () => socket.addEventListener('open', () => resolve(storage.getStore())));
  });
  assert.equal(seen, 'made');
  socket.close();
});

test("a server's connections have its store, and so have the sockets that it accepts", async (t) => {
  const seen = [];
  const see = (what) => seen.push([what, storage.getStore()]);
  const server = storage.run('server', () => new WebSocketServer({ host: '127.0.0.1' }));
  t.after(() => server.close({ timeoutMs: 0 }));
  // Whoever listens, and the clients, have others.
  const served = new Promise((resolve) => {
    storage.run('listener', () => {
      server.addEventListener('connection', ({ socket }) => {
        see('connection');
        socket.addEventListener('message', () => see('message'));
        socket.addEventListener('close', () => {
          see('close');
          resolve();
        });
      });
    });
  });
  await server.ready;
  const url = `ws://127.0.0.1:${server.address().port}/`;
  const client = storage.run('client', () => new WebSocket(url));
  await next(client, 'open');
  client.send('a');
  client.close(1000);
  await served;
  assert.deepEqual(seen, [
    ['connection', 'server'],
    ['message', 'server'],
    ['close', 'server'],
  ]);
});

test('also where the request has waited for the listener', async (t) => {
  const requested = new Promise((resolve) => {
    subscribe('webwire:websocket:server:request', resolve);
    t.after(() => unsubscribe('webwire:websocket:server:request', resolve));
  });
  const server = storage.run('server', () => new WebSocketServer({ host: '127.0.0.1' }));
  t.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const client = new WebSocket(`ws://127.0.0.1:${server.address().port}/`);
  client.onopen = () => client.send('a');
  await requested;
  const seen = await new Promise((resolve) => {
    const listener = ({ socket }) => {
      const stores = [storage.getStore()];
      socket.onmessage = () => resolve([...stores, storage.getStore()]);
    };
    storage.run('late', () => server.addEventListener('connection', listener));
  });
  assert.deepEqual(seen, ['server', 'server']);
  client.close();
});

test('a socket has the store of whoever accepts its request', async (t) => {
  const server = storage.run('server', () => new WebSocketServer({ host: '127.0.0.1' }));
  t.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const client = new WebSocket(`ws://127.0.0.1:${server.address().port}/`);
  const { value: request } = await server.incomingRequests.getReader().read();
  const socket = await storage.run('accepts', () => request.accept());
  const heard = new Promise((resolve) => {
    socket.onmessage = () => resolve(storage.getStore());
  });
  if (client.readyState === WebSocket.CONNECTING) await next(client, 'open');
  client.send('a');
  assert.equal(await heard, 'accepts');
  client.close();
});

test('promises keep the store of who waits', async (t) => {
  const { url } = await listening(t, () => {});
  const stream = storage.run('made', () => new WebSocketStream(url));
  await storage.run('waits', async () => {
    await stream.opened;
    assert.equal(storage.getStore(), 'waits');
  });
  stream.close();
  await stream.closed;
});

/** A listening WebTransportServer, made under this store, and what clients need of it. */
async function startServer(t, store, options) {
  const { cert, key, hash } = createCertificate();
  const server = storage.run(store, () => new webwire.WebTransportServer({ host: '127.0.0.1', cert, key, ...options }));
  t.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  const serverCertificateHashes = [{ algorithm: 'sha-256', value: hash }];
  const connect = (more) =>
    new webwire.WebTransport(`https://127.0.0.1:${server.address().port}/`, { serverCertificateHashes, ...more });
  return { server, connect };
}

test('a WebTransportServer has its store in its events and in its hook', async (t) => {
  const seen = [];
  const onRequest = () => {
    seen.push(['onRequest', storage.getStore()]);
  };
  const { server, connect } = await startServer(t, 'server', { onRequest });
  storage.run('listens', () =>
    server.addEventListener('connection', () => seen.push(['connection', storage.getStore()])),
  );
  for (const store of ['one', 'two']) await storage.run(store, connect).ready;
  const expected = [
    ['onRequest', 'server'],
    ['connection', 'server'],
  ];
  assert.deepEqual(seen, [...expected, ...expected]);
});

test("a WebTransportServer's store is in connection also where the request has waited for the listener", async (t) => {
  let requests = 0;
  const requested = new Promise((resolve) => {
    const count = () => {
      requests += 1;
      if (requests === 2) resolve();
    };
    subscribe('webwire:webtransport:server:request', count);
    t.after(() => unsubscribe('webwire:webtransport:server:request', count));
  });
  const { server, connect } = await startServer(t, 'server');
  const clients = [connect(), connect()];
  // Of two at least the first waits.
  await requested;
  const seen = await new Promise((resolve) => {
    const stores = [];
    const listener = () => {
      stores.push(storage.getStore());
      if (stores.length === clients.length) resolve(stores);
    };
    storage.run('late', () => server.addEventListener('connection', listener));
  });
  assert.deepEqual(seen, ['server', 'server']);
  for (const client of clients) client.close();
});

test('promises and streams of a WebTransport keep the store of who waits', async (t) => {
  const { server, connect } = await startServer(t, 'server');
  server.onconnection = async ({ socket }) => {
    for await (const { readable, writable } of socket.incomingBidirectionalStreams) {
      // The client's end may come before the last acknowledgement.
      readable.pipeTo(writable).catch(() => {});
    }
  };
  const client = storage.run('made', connect);
  const closed = storage.run('waits for the end', () => client.closed.then(() => storage.getStore()));
  await Promise.all(
    ['one', 'two', undefined].map((store) =>
      storage.run(store, async () => {
        await client.ready;
        assert.equal(storage.getStore(), store);
        const { readable, writable } = await client.createBidirectionalStream();
        assert.equal(storage.getStore(), store);
        const writer = writable.getWriter();
        await writer.write(Uint8Array.of(1));
        assert.equal(storage.getStore(), store);
        for await (const chunk of readable) {
          assert.equal(storage.getStore(), store);
          if (chunk.length > 0) await writer.close();
        }
        assert.equal(storage.getStore(), store);
        await client.datagrams.createWritable().getWriter().write(Uint8Array.of(1));
        assert.equal(storage.getStore(), store);
      }),
    ),
  );
  client.close();
  assert.equal(await closed, 'waits for the end');
});

test('a failure too', async (t) => {
  const { connect } = await startServer(t, 'server', { onRequest: (request) => request.reject(404) });
  await storage.run('waits', async () => {
    await assert.rejects(connect().ready);
    assert.equal(storage.getStore(), 'waits');
  });
});
