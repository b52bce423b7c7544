// The other ends, in a worker thread: a WebSocketServer, a WebTransportServer, and an RTCPeerConnection for each that is
// signalled over the WebSocketServer. `workerData` says which file they hold, and whether the WebSocket uses TLS.
import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { RTCPeerConnection, WebSocketServer, WebTransportServer } from 'webwire';
import { generateCertificate } from 'webwire/webtransport';
import { serveMessages, serveStream, sha256, signal } from './transfers.mjs';

const host = '127.0.0.1';
const bytes = new Uint8Array(await readFile(workerData.path));
const hash = await sha256(bytes);
const { certificate, key, hash: certificateHash } = await generateCertificate();

const websockets = new WebSocketServer({ host, port: 0, ...(workerData.tls ? { cert: certificate, key } : {}) });
const webtransports = new WebTransportServer({ host, port: 0, cert: certificate, key });
await Promise.all([websockets.ready, webtransports.ready]);

/** What a peer does wrong ends its own connection and nothing else. */
const report = (error) => console.error(`demo: ${error.message}`);
serveWebSockets().catch(report);
serveWebTransports().catch(report);

parentPort.on('message', async () => {
  await Promise.all([websockets.close({ timeoutMs: 500 }), webtransports.close({ timeoutMs: 500 })]);
  parentPort.close();
});
parentPort.postMessage({
  file: { size: bytes.length, sha256: hash },
  at: {
    websocket: {
      url: `${workerData.tls ? 'wss' : 'ws'}://${host}:${websockets.address().port}`,
      options: workerData.tls ? { ca: certificate } : undefined,
    },
    webtransport: { url: `https://${host}:${webtransports.address().port}/file`, hash: [...certificateHash] },
  },
});

async function serveWebSockets() {
  for await (const request of websockets.incomingRequests) {
    const { pathname } = new URL(request.url, 'ws://localhost');
    const socket = await request.accept();
    if (pathname === '/signal') answer(socket);
    else serveMessages(socket, bytes);
  }
}

function answer(signalling) {
  const connection = new RTCPeerConnection();
  connection.ondatachannel = ({ channel }) => serveMessages(channel, bytes);
  signalling.addEventListener('close', () => connection.close());
  signal(connection, signalling);
}

async function serveWebTransports() {
  for await (const request of webtransports.incomingRequests) {
    const session = await request.accept();
    // A session that ends takes its streams with it, which is no failure here.
    session.closed.catch(() => {});
    serveSession(session).catch(() => {});
  }
}

async function serveSession(session) {
  const streams = session.incomingBidirectionalStreams.getReader();
  for (;;) {
    const { done, value } = await streams.read();
    if (done) return;
    serveStream(value, bytes).catch(() => {});
  }
}
