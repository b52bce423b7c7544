// The WebSocket cases: one Node process each against the neutral Rust server.

import { atLeast, atMost } from '../marks.mjs';
import { measured, Program, withPrograms } from '../processes.mjs';

const adapters = { webwire: 'webwire', ws: 'ws', 'webwire/ws emitter': 'webwire-emitter', 'ws emitter': 'ws-emitter' };

const perMessage = [
  { key: 'rate', unit: 'messages/s' },
  { key: 'cpu', unit: 'µs CPU' },
];
const perLargeMessage = [
  { key: 'megabytes', unit: 'MB/s' },
  { key: 'cpu', unit: 'µs CPU' },
];
const perTurn = [
  { key: 'p50', unit: 'µs p50', mark: atMost(1.3, 'ws') },
  { key: 'p99', unit: 'µs p99' },
  { key: 'cpu', unit: 'µs CPU' },
];

const cases = [
  {
    title: 'receive 64 B text',
    parameters: { case: 'receive', kind: 'text', size: 64, count: 4_000_000 },
    measures: [{ key: 'rate', unit: 'messages/s', mark: atLeast(1.9, 'ws') }, perMessage[1]],
  },
  {
    title: 'receive 64 B binary',
    parameters: { case: 'receive', kind: 'binary', size: 64, count: 4_000_000 },
    measures: [
      {
        key: 'rate',
        unit: 'messages/s',
        mark: [atLeast(1.4, 'ws'), atLeast(1, 'ws emitter', 'webwire/ws emitter')],
      },
      perMessage[1],
    ],
  },
  {
    // Three gigabytes: in the first one both spend much of their time on fresh memory, until their heaps have grown.
    title: 'receive 64 KiB',
    parameters: { case: 'receive', kind: 'binary', size: 65_536, count: 48_000 },
    measures: [{ key: 'megabytes', unit: 'MB/s', mark: atLeast(1.25, 'ws') }, perLargeMessage[1]],
  },
  {
    title: 'deflate-recv-1KiB-json',
    parameters: { case: 'receive', kind: 'json', size: 1024, count: 200_000 },
    measures: [{ key: 'rate', unit: 'messages/s', mark: atLeast(8, 'ws') }, perMessage[1]],
  },
  {
    title: 'send 64 B text',
    parameters: { case: 'send', kind: 'text', size: 64, count: 400_000 },
    measures: [{ key: 'rate', unit: 'messages/s', mark: atLeast(10, 'ws') }, perMessage[1]],
  },
  {
    title: 'send 64 B binary',
    parameters: { case: 'send', kind: 'binary', size: 64, count: 400_000 },
    measures: perMessage,
  },
  {
    title: 'send 64 KiB',
    parameters: { case: 'send', kind: 'binary', size: 65_536, count: 16_000 },
    measures: [{ key: 'megabytes', unit: 'MB/s', mark: atLeast(1.5, 'ws') }, perLargeMessage[1]],
  },
  { title: 'round trip 64 B', parameters: { case: 'round-trip', size: 64, count: 8_000 }, measures: perTurn },
  {
    title: 'connect and close',
    parameters: { case: 'connect', count: 800 },
    measures: [{ key: 'rate', unit: 'times/s' }, perMessage[1]],
  },
  {
    title: 'connect 64 at once',
    parameters: { case: 'connect-parallel', parallel: 64, count: 3_200 },
    measures: [{ key: 'rate', unit: 'times/s', mark: atLeast(1.5, 'ws') }, perMessage[1]],
  },
  {
    // What RFC 6455 asks of browsers left out: connections to one address are not made one after the other.
    title: 'connect 64, unserial',
    parameters: { case: 'connect-parallel', parallel: 64, count: 3_200, options: { serializeHandshakes: false } },
    measures: [{ key: 'rate', unit: 'times/s', mark: atLeast(1.5, 'ws') }, perMessage[1]],
  },
  {
    title: 'idle connection',
    parameters: { case: 'idle', connections: 1_000 },
    measures: [{ key: 'kibibytes', unit: 'KiB', mark: atMost(1, 'ws') }],
  },
];

export const websocket = {
  name: 'ws',
  title: 'WebSocket: one Node process against a Rust server; CPU of the Node process, for each operation',
  implementations: Object.keys(adapters),
  rivals: ['ws', 'ws emitter'],
  cases,
  run(implementation, parameters, { peer }) {
    return withPrograms([new Program(peer, ['websocket'])], async (server) => {
      const { port } = await server.next();
      const client = measured('websocket', [adapters[implementation], String(port), JSON.stringify(parameters)]);
      return await withPrograms([client], () => client.next());
    });
  },
};
