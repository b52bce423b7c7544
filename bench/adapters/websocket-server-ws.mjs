// The server of `ws`, through its own events.
import { once } from 'node:events';
import { WebSocketServer } from 'ws';

export default {
  /** Listens, sends every message back, and resolves to the port. */
  async echo() {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    server.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    await once(server, 'listening');
    return server.address().port;
  },
};
