// The data channel cases: two Node processes of one implementation, or both ends in one.
import { atLeast, atMost } from '../marks.mjs';
import { measured, withPrograms } from '../processes.mjs';

const opening = [
  { key: 'median', unit: 'ms median' },
  { key: 'p90', unit: 'ms p90' },
  { key: 'cpu', unit: 'ms CPU' },
];

const cases = [
  {
    title: 'open',
    parameters: { case: 'open', processes: 2, count: 24 },
    measures: [{ ...opening[0], mark: atMost(5) }, opening[1], opening[2]],
  },
  { title: 'open, one process', parameters: { case: 'open', processes: 1, count: 24 }, measures: opening },
  {
    title: '16 KiB messages',
    parameters: { case: 'throughput', processes: 2, size: 16_384, seconds: 2 },
    measures: [
      { key: 'megabytes', unit: 'MB/s', mark: atLeast(2, 'node-datachannel') },
      { key: 'cpuPerGigabyte', unit: 's CPU/GB', mark: atMost(5) },
    ],
  },
  {
    title: '64 KiB messages',
    parameters: { case: 'throughput', processes: 2, size: 65_536, seconds: 2 },
    measures: [
      { key: 'megabytes', unit: 'MB/s' },
      { key: 'cpuPerGigabyte', unit: 's CPU/GB' },
    ],
  },
  {
    title: '64 B messages',
    parameters: { case: 'throughput', processes: 2, size: 64, seconds: 2 },
    measures: [
      { key: 'rate', unit: 'messages/s' },
      { key: 'cpu', unit: 'µs CPU' },
    ],
  },
  {
    title: 'round trip 64 B',
    parameters: { case: 'round-trip', processes: 2, size: 64, count: 4_000 },
    measures: [
      { key: 'p50', unit: 'µs p50' },
      { key: 'p99', unit: 'µs p99' },
      { key: 'cpu', unit: 'µs CPU' },
    ],
  },
];

export const dataChannel = {
  name: 'dc',
  title: 'RTCDataChannel: two Node processes; CPU of both',
  implementations: ['webwire', 'node-datachannel'],
  rivals: ['node-datachannel'],
  cases,
  run(implementation, parameters) {
    const offerer = measured('data-channel', [implementation, JSON.stringify(parameters)]);
    return withPrograms([offerer], () => offerer.next());
  },
};
