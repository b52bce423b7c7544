// The WebSocket server cases: an echo server in one Node process, loaded by the Rust program.

import { atLeast } from '../marks.mjs';
import { measured, withPrograms } from '../processes.mjs';

const adapters = { webwire: 'webwire', 'webwire/ws': 'webwire-ws', ws: 'ws' };

export const websocketServer = {
  name: 'wss',
  title: 'WebSocket server: one Node process echoes to a Rust client; CPU of the Node process, for each message',
  implementations: Object.keys(adapters),
  rivals: ['ws'],
  cases: [
    {
      title: 'echo 50 × 20 × 64 B',
      parameters: { connections: 50, depth: 20, size: 64, count: 1_000_000 },
      measures: [
        { key: 'rate', unit: 'messages/s', mark: atLeast(4, 'ws') },
        { key: 'cpu', unit: 'µs CPU' },
      ],
    },
    {
      title: 'echo 20 × 64 KiB',
      parameters: { connections: 20, depth: 1, size: 65_536, count: 20_000 },
      measures: [
        { key: 'megabytes', unit: 'MB/s', mark: atLeast(1.8, 'ws') },
        { key: 'cpu', unit: 'µs CPU' },
      ],
    },
  ],
  run(implementation, parameters, { peer }) {
    const server = measured('websocket-server', [adapters[implementation], peer, JSON.stringify(parameters)]);
    return withPrograms([server], () => server.next());
  },
};
