// The types in use, as a program would: what must compile, and what must not.

import { subscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:http';
import type { WebTransportErrorMessage, WebTransportServerRejectMessage } from 'webwire';
import {
  generateCertificate,
  RTCPeerConnection,
  WebSocket,
  WebSocketError,
  WebSocketServer,
  WebSocketStream,
  WebTransport,
  WebTransportServer,
} from 'webwire';

export async function webSocket(): Promise<void> {
  const server = new WebSocketServer({ port: 0 });
  await server.ready;
  const { port } = server.address();
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { protocols: ['a'], rejectUnauthorized: true });
  socket.binaryType = 'nodebuffer';
  socket.addEventListener('message', (event) => socket.send(event.data), { once: true });
  socket.addEventListener('close', function (event) {
    const code: number = event.code;
    this.close(code, event.reason);
  });
  socket.onmessage = ({ data }) => socket.send(new Uint8Array(data));
  socket.onclose = null;
  const state: 0 | 1 | 2 | 3 = socket.readyState;
  if (state === WebSocket.OPEN) socket.send(new Blob([]));
  for await (const request of server.incomingRequests) {
    const accepted: WebSocket = await request.accept({ protocol: request.protocols[0] ?? '' });
    accepted.unref();
    request.signal.throwIfAborted();
  }
  for await (const request of server) request.reject(404);
  const disposable: Disposable & AsyncDisposable = server;
  const streamed: Disposable & AsyncDisposable = new WebSocketStream('ws://127.0.0.1');
  for (const one of [disposable, streamed]) one[Symbol.dispose]();
  server.addEventListener('connection', (event) => event.socket.close(1000));
  // @ts-expect-error: not a type of binary data
  socket.binaryType = 'buffer';
  // @ts-expect-error: a number is no data
  socket.send(1);
  // @ts-expect-error: readonly
  socket.readyState = 1;
  await server.close({ timeoutMs: 1000 });
  const behind = createServer();
  new WebSocketServer({ server: behind, path: '/chat' });
  const given = new WebSocketServer({
    noServer: true,
    async onRequest(request) {
      if (request.origin !== 'https://example.com') request.reject(403);
    },
    signal: AbortSignal.timeout(1),
    keepAlive: { intervalMs: 1000 },
    maxQueuedBytes: 1e6,
  });
  given.setCertificate({ cert: '', key: '', certificates: { 'a.example': { cert: Buffer.of(), key: '' } } });
  given.onconnection = ({ request }) => request.tls?.peerCertificate?.fingerprint256;
  given.broadcast('all', { filter: (client) => client.bufferedAmount === 0 }).toFixed();
  for (const client of given.clients) client.send('all');
  given.close({ code: 1012, reason: 'restarting' });
  behind.on('upgrade', async (request, stream, head) => {
    const waiting = given.handleUpgrade(request, stream, head);
    if (waiting?.origin === '') waiting.reject(403);
    else (await waiting?.accept())?.send('hello');
  });
  // @ts-expect-error: no server
  new WebSocketServer({ server: 'http' });
}

export async function webSocketStream(): Promise<void> {
  const stream = new WebSocketStream('wss://localhost', {
    protocols: ['a'],
    signal: AbortSignal.timeout(1000),
    headers: { a: 'b' },
  });
  const { readable, writable, protocol } = await stream.opened;
  protocol.length.toFixed();
  const writer = writable.getWriter();
  await writer.write('text');
  await writer.write(new Uint8Array(1));
  for await (const chunk of readable) {
    if (typeof chunk !== 'string') chunk.buffer.slice(0);
  }
  await readable.cancel(new WebSocketError('', { closeCode: 3000, reason: 'why' }));
  stream.close({ closeCode: 1000 });
  const { closeCode, reason } = await stream.closed;
  closeCode.toFixed(reason.length);
  // @ts-expect-error: a sequence, no string
  new WebSocketStream('wss://localhost', { protocols: 'a' });
  // @ts-expect-error: a number is no data
  await writer.write(1);
}

export async function webTransport(): Promise<void> {
  const { certificate, key, hash } = generateCertificate({ days: 1 });
  const server = new WebTransportServer({ port: 0, cert: certificate, key: Buffer.from(key) });
  await server.ready;
  const transport = new WebTransport('https://localhost', {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
  });
  await transport.ready;
  const { readable, writable } = await transport.createBidirectionalStream();
  const writer = writable.getWriter();
  await writer.write(new Uint8Array(1));
  for await (const chunk of readable) chunk.buffer.slice(0);
  for await (const stream of transport.incomingUnidirectionalStreams) await stream.cancel();
  for await (const stream of transport.incomingBidirectionalStreams) await stream.writable.abort();
  const datagrams = transport.datagrams.createWritable().getWriter();
  await datagrams.write(new ArrayBuffer(1));
  transport.close({ closeCode: 1, reason: 'done' });
  const { closeCode = 0 } = await transport.closed;
  closeCode.toFixed();
  // @ts-expect-error: a server has a certificate
  new WebTransportServer({ port: 0 });
  new WebTransportServer({
    certificates: { 'a.example': { cert: certificate, key } },
    onRequest(request, { remoteAddress }) {
      if (request instanceof Request) return new Response(request.body, { headers: { from: remoteAddress.address } });
      return request.reject(403);
    },
  });
  new WebTransportServer({ cert: certificate, key, onRequest: (request: Request) => new Response(request.url) });
}

export function diagnostics(): void {
  subscribe('webwire:webtransport:error', (message) => {
    const { webtransport, error } = message as WebTransportErrorMessage;
    if (error.phase === 'request') webtransport.closed.catch(() => error.status?.toFixed());
    // @ts-expect-error: not a phase
    if (error.phase === 'frame') webtransport.close();
  });
  subscribe('webwire:webtransport:server:reject', (message) => {
    const { request, error, more = 0 } = message as WebTransportServerRejectMessage;
    if (request instanceof Request) request.url.slice(more);
    else request?.protocols.includes(`${error.code} ${error.address} ${error.port?.toFixed()}`);
  });
}

export async function peerConnection(): Promise<void> {
  const connection = new RTCPeerConnection({ iceServers: [{ urls: 'stun:localhost' }] });
  const channel = connection.createDataChannel('chat', { ordered: false, maxRetransmits: 1 });
  channel.onopen = () => channel.send('text');
  channel.addEventListener('error', ({ error }) => error.errorDetail.length);
  connection.onicecandidate = ({ candidate }) => connection.addIceCandidate(candidate?.toJSON());
  connection.addEventListener('datachannel', (event) => event.channel.send(new ArrayBuffer(1)));
  const offer = await connection.createOffer();
  offer.sdp += 'a=x\r\n';
  await connection.setLocalDescription(offer);
  await connection.setLocalDescription();
  await connection.setRemoteDescription({ type: 'answer', sdp: '' });
  connection.close();
  // @ts-expect-error: not a type of description
  await connection.setRemoteDescription({ type: 'reply', sdp: '' });
}
