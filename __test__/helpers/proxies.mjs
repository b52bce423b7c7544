// Proxies for tests: HTTP CONNECT, and SOCKS5 in raw bytes. Both connect to 127.0.0.1 whatever name they are given.

import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect } from 'node:net';
import { tcpServer } from './websocket-ends.mjs';

function join(one, other) {
  one.on('error', () => other.destroy());
  other.on('error', () => one.destroy());
  one.pipe(other).pipe(one);
}

/** A CONNECT proxy; `requests` are what it was asked. TLS where `options` have a certificate. */
export async function connectProxy(t, options = {}) {
  const requests = [];
  const sockets = new Set();
  const server = options.cert ? createHttpsServer(options) : createHttpServer();
  server.on('connect', async (request, socket, head) => {
    const { method, url, headers } = request;
    requests.push({ method, url, headers, early: head.length });
    const target = connect(Number(/:(\d+)$/.exec(url)[1]), '127.0.0.1');
    sockets.add(socket).add(target);
    join(socket, target);
    await once(target, 'connect');
    socket.write('HTTP/1.0 200 Connection established\r\nVia: test\r\n\r\n');
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { requests, port: server.address().port };
}

async function take(socket, length) {
  for (;;) {
    const bytes = socket.read(length);
    if (bytes !== null) return bytes;
    await once(socket, 'readable');
  }
}

/** A SOCKS5 proxy (RFC 1928, 1929); `requests` are what it was asked. */
export async function socksProxy(t, { credentials } = {}) {
  const requests = [];
  const { port } = await tcpServer(t, async (socket) => {
    const [, count] = await take(socket, 2);
    const methods = [...(await take(socket, count))];
    const request = { methods };
    socket.write(Buffer.from([5, credentials ? 2 : 0]));
    if (credentials) {
      const [, length] = await take(socket, 2);
      const user = await take(socket, length);
      const password = await take(socket, (await take(socket, 1))[0]);
      request.credentials = [String(user), String(password)];
      const right = request.credentials.join() === credentials.join();
      socket.write(Buffer.from([1, right ? 0 : 1]));
      if (!right) return;
    }
    const [, , , type] = await take(socket, 4);
    if (type === 3) request.name = String(await take(socket, (await take(socket, 1))[0]));
    else request.address = (await take(socket, type === 1 ? 4 : 16)).toString('hex');
    request.port = (await take(socket, 2)).readUInt16BE();
    requests.push(request);
    const target = connect(request.port, '127.0.0.1');
    await once(target, 'connect');
    // What it is bound to, as a name.
    socket.write(Buffer.from([5, 0, 0, 3, 1, 0x78, 0, 1]));
    join(socket, target);
  });
  return { requests, port };
}
