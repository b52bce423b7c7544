// The server of WebTransport's soak: echoes bidirectional streams and reads unidirectional ones to their end, but not those of
// sessions with the path `/unread`. usage: webtransport-server.mjs MAX_STREAMS_PER_CONNECTION

import { WebTransportServer } from '../../index.mjs';
import { createCertificate } from '../helpers/certificate.mjs';
import { holdings, obey, tell } from './program.mjs';

const { cert, key, hash } = createCertificate();
const server = new WebTransportServer({
  host: '127.0.0.1',
  cert,
  key,
  maxStreamsPerConnection: Number(process.argv[2]),
});
const open = new Set();
let bytes = 0;

/** Calls `each` for what comes, until the session's end. */
async function forEach(readable, each) {
  for await (const value of readable) each(value);
}

server.onconnection = ({ socket, request }) => {
  open.add(socket);
  const left = () => open.delete(socket);
  socket.closed.then(left, left);
  if (request.url.endsWith('/unread')) return;
  const ignore = () => {};
  forEach(socket.incomingBidirectionalStreams, ({ readable, writable }) => {
    readable.pipeTo(writable).catch(ignore);
  }).catch(ignore);
  forEach(socket.incomingUnidirectionalStreams, (stream) => {
    forEach(stream, (chunk) => {
      bytes += chunk.byteLength;
    }).catch(ignore);
  }).catch(ignore);
};
await server.ready;
const look = async () => {
  const { user, system } = process.cpuUsage();
  const residentKiB = Math.round(process.memoryUsage.rss() / 1024);
  return { residentKiB, cpuMs: Math.round((user + system) / 1000), sessions: open.size, bytes };
};
obey({ holdings, look });
tell({ url: `https://127.0.0.1:${server.address().port}`, hash: [...hash] });
