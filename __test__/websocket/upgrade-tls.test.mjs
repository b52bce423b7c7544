// A WebSocketServer behind Node's https server: attached by `server`, and what `request.tls` says there.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import https from 'node:https';
import { test } from 'node:test';
import { createCertificate } from '../helpers/certificate.mjs';
import { echo, FAILED, heard, next, WebSocket, WebSocketServer } from '../helpers/websocket-ends.mjs';

const { cert, key } = createCertificate({ names: ['localhost', 'one.example'] });
const client = createCertificate();
const stranger = createCertificate();

/** Node's https server, which listens, and a WebSocketServer that is attached to it with these options. */
async function attached(t, options = {}, tls = {}) {
  const node = https.createServer({ cert, key, ...tls }, (_request, response) => response.end('plain'));
  const server = new WebSocketServer({ server: node, ...options });
  t.after(async () => {
    await server.close({ timeoutMs: 0 });
    node.closeAllConnections();
    node.close();
  });
  node.listen(0, '127.0.0.1');
  await server.ready;
  const { port } = node.address();
  assert.equal(server.address().port, port);
  return { node, server, port };
}

test("attached to Node's https server: WebSockets on a path, and plain requests beside them", async (t) => {
  const { server, port } = await attached(t, { path: '/chat' });
  server.onconnection = ({ socket, request }) => {
    assert.equal(request.url, '/chat?a');
    assert.equal(socket.url, `wss://127.0.0.1:${port}/chat?a`);
    echo(socket);
  };
  const socket = new WebSocket(`wss://127.0.0.1:${port}/chat?a`, { ca: cert });
  socket.binaryType = 'nodebuffer';
  await next(socket, 'open');
  const large = Buffer.alloc(1 << 20, 'abc');
  for (const data of ['text', large]) {
    socket.send(data);
    assert.deepEqual((await next(socket, 'message')).data, data);
  }
  assert.deepEqual(await heard(new WebSocket(`wss://127.0.0.1:${port}/other`, { ca: cert })).closed, FAILED);
  const [response] = await once(https.get({ host: '127.0.0.1', port, ca: cert, agent: false }), 'response');
  let body = '';
  for await (const chunk of response) body += chunk;
  assert.equal(body, 'plain');
  const { closed } = heard(socket);
  await server.close();
  assert.deepEqual(await closed, [['close', 1001, '', true]]);
});

test("request.tls says what Node's TLS knows of the client", async (t) => {
  const requests = [];
  const tls = { requestCert: true, rejectUnauthorized: false, ca: client.cert };
  const { server, port } = await attached(t, {}, tls);
  server.onconnection = ({ socket, request }) => {
    requests.push(request);
    socket.close(3000);
  };
  const options = { ca: cert, servername: 'one.example' };
  const asked = async (more) => {
    await next(new WebSocket(`wss://127.0.0.1:${port}/`, { ...options, ...more }), 'close');
    const { peerCertificate, ...rest } = requests.at(-1).tls;
    return [peerCertificate?.fingerprint256, rest];
  };
  const fingerprint = (of) => new X509Certificate(of.cert).fingerprint256;
  const told = { servername: 'one.example', protocol: 'TLSv1.3' };
  assert.deepEqual(await asked({}), [undefined, { ...told, authorized: false }]);
  assert.deepEqual(await asked({ cert: client.cert, key: client.key }), [
    fingerprint(client),
    { ...told, authorized: true },
  ]);
  assert.deepEqual(await asked({ cert: stranger.cert, key: stranger.key }), [
    fingerprint(stranger),
    { ...told, authorized: false },
  ]);
  assert.equal(requests.length, 3);
  assert.equal(requests[0].remoteAddress.address, '127.0.0.1');
});

test('of two servers that would take the same TLS client the first one has it', async (t) => {
  const { node, server, port } = await attached(t);
  server.onconnection = ({ socket }) => echo(socket);
  const second = new WebSocketServer({ server: node, maxConnections: 0 });
  const third = new WebSocketServer({ server: node });
  t.after(() => Promise.all([second.close(), third.close()]));
  third.onconnection = () => assert.fail('must not be accepted');
  const socket = new WebSocket(`wss://127.0.0.1:${port}/`, { ca: cert });
  await next(socket, 'open');
  socket.send('there and back');
  assert.equal((await next(socket, 'message')).data, 'there and back');
  assert.deepEqual([server.clients.size, second.clients.size, third.clients.size], [1, 0, 0]);
});
