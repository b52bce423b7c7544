// The server of the soak: sends back what comes.

import { WebSocketServer } from '../../index.mjs';
import { holdings, obey, tell } from './program.mjs';

const server = new WebSocketServer({ host: '127.0.0.1', maxPendingHandshakes: 1_000 });
const open = new Set();
server.addEventListener('connection', ({ socket }) => {
  open.add(socket);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = ({ data }) => socket.send(data);
  socket.onclose = () => open.delete(socket);
});
await server.ready;
obey({ holdings: async () => ({ ...(await holdings()), sockets: open.size }) });
tell({ port: server.address().port });
