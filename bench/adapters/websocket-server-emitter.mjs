// The server of `ws`'s interface, through its own events.
import { once } from 'node:events';

/** @returns an adapter: `echo()` listens, sends every message back, and resolves to the port. */
export function emitterServer(WebSocketServer) {
  return {
    async echo() {
      const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
      server.on('connection', (socket) => {
        socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
      });
      await once(server, 'listening');
      return server.address().port;
    },
  };
}
