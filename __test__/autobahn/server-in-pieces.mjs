// The echo server, behind a proxy that cuts TCP into pieces of 1 to 7 bytes.

import { tcpProxy } from '../soak/tcp-proxy.mjs';
import { startServer as start } from './server.mjs';

export async function startServer() {
  const server = await start({ port: 0 });
  const proxy = await tcpProxy({ target: () => server.port, seed: 1, small: Number.POSITIVE_INFINITY });
  return {
    port: proxy.port,
    async close() {
      proxy.close();
      await server.close();
    },
  };
}
