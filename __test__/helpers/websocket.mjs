// Both ends of a WebSocket. See apis.mjs.

import { behave, near } from './channel.mjs';

export const websocket = {
  provoked: 1,

  /** Listens; the path of a request is what the socket then does. */
  async serve({ WebSocketServer }) {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await server.ready;
    const run = async () => {
      for await (const request of server.incomingRequests) {
        const socket = await request.accept();
        behave(socket, new URL(request.url, 'ws://localhost').pathname.slice(1));
      }
    };
    const ended = run();
    return {
      object: server,
      at: { url: `ws://127.0.0.1:${server.address().port}` },
      answer() {},
      async close() {
        await server.close({ timeoutMs: 0 });
        await ended;
      },
    };
  },

  connect({ WebSocket }, { url }, mode) {
    const socket = new WebSocket(`${url}/${mode}`);
    return {
      object: socket,
      ...near(socket),
      provoke: () => socket.send('text'),
      close: () => socket.close(1000),
      forget() {},
    };
  },
};
