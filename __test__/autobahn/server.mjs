// What Autobahn's fuzzing client tests: an echo server.

import { WebSocketServer } from '../../index.mjs';

/** The cases send up to 16 MiB. */
const LARGEST = 64 << 20;

export async function startServer({ port }) {
  const server = new WebSocketServer({ host: '127.0.0.1', port, maxMessageSize: LARGEST, perMessageDeflate: true });
  server.addEventListener('connection', ({ socket }) => {
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => socket.send(data);
  });
  await server.ready;
  return { port: server.address().port, close: () => server.close({ timeoutMs: 0 }) };
}
