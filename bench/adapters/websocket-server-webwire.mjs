// webwire's WebSocketServer.
import { WebSocketServer } from 'webwire/websocket';

export default {
  /** Listens, sends every message back, and resolves to the port. */
  async echo() {
    const server = new WebSocketServer({ host: '127.0.0.1' });
    server.onconnection = ({ socket }) => {
      socket.binaryType = 'arraybuffer';
      socket.onmessage = ({ data }) => socket.send(data);
    };
    await server.ready;
    return server.address().port;
  },
};
