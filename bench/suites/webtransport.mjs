// The WebTransport cases: webwire in two Node processes, beside plain QUIC in two Rust processes as the ceiling.
import { atLeast, atMost, atMostMore } from '../marks.mjs';
import { measured, Program, withPrograms } from '../processes.mjs';

const cases = [
  {
    title: 'establish',
    parameters: { case: 'establish', count: 64 },
    measures: [
      { key: 'median', unit: 'ms median', mark: atMost(3) },
      { key: 'p90', unit: 'ms p90' },
      { key: 'cpu', unit: 'ms CPU' },
    ],
  },
  {
    title: 'stream, 64 KiB writes',
    parameters: { case: 'stream', count: 512 << 20 },
    measures: [
      { key: 'rate', unit: 'MB/s', mark: atLeast(0.6, 'raw quinn') },
      { key: 'cpu', unit: 's CPU/GB', mark: atMost(1.6, 'raw quinn') },
    ],
  },
  {
    title: '64 ordered streams',
    parameters: { case: 'ordered', count: 256 << 20 },
    measures: [
      { key: 'rate', unit: 'MB/s' },
      { key: 'cpu', unit: 's CPU/GB' },
    ],
  },
  {
    title: 'small bidi streams',
    parameters: { case: 'small-streams', count: 16_384 },
    measures: [
      { key: 'rate', unit: 'streams/s' },
      { key: 'cpu', unit: 'µs CPU', mark: atMost(12, 'raw quinn') },
    ],
  },
  {
    title: 'datagrams 1200 B',
    parameters: { case: 'datagrams', count: 160_000 },
    measures: [
      { key: 'rate', unit: 'arrived/s', mark: atLeast(0.3, 'raw quinn') },
      { key: 'arrived', unit: '% arrived' },
      { key: 'cpu', unit: 'µs CPU' },
    ],
  },
  {
    title: 'datagrams 1200 B, paced',
    parameters: { case: 'datagrams-paced', count: 160_000 },
    measures: [
      { key: 'arrived', unit: '% arrived', mark: atLeast(100) },
      { key: 'rate', unit: 'arrived/s' },
      { key: 'cpu', unit: 'µs CPU' },
    ],
  },
  {
    title: 'round trip 64 B',
    parameters: { case: 'round-trip', count: 8_000 },
    measures: [
      { key: 'p50', unit: 'µs p50', mark: atMostMore(60, 'raw quinn') },
      { key: 'p99', unit: 'µs p99' },
      { key: 'cpu', unit: 'µs CPU' },
    ],
  },
  {
    title: 'idle sessions',
    parameters: { case: 'idle', count: 1000 },
    measures: [
      { key: 'client', unit: 'KiB client', mark: atMost(64) },
      { key: 'server', unit: 'KiB server', mark: atMost(64) },
    ],
  },
  {
    title: 'streams that were used',
    parameters: { case: 'kept', count: 100_000 },
    measures: [
      { key: 'client', unit: 'KiB client', mark: atMost(1) },
      { key: 'server', unit: 'KiB server', mark: atMost(1) },
    ],
  },
];

/** The share of raw quinn's rate at which no datagram may be lost, and raw quinn's rate where it was not measured before. */
const PACE = 0.3;
const USUAL_RATE = 1_000_000;
let rawRate = USUAL_RATE;

/** Cases of which quinn's figure would say nothing: it has no send orders, and no heap that is collected. */
const OURS_ONLY = ['ordered', 'idle', 'kept'];

export const webtransport = {
  name: 'wt',
  title: 'WebTransport: two Node processes, raw quinn: two Rust processes without HTTP/3; CPU of both',
  implementations: ['webwire', 'raw quinn'],
  rivals: ['raw quinn'],
  cases,
  run(implementation, { case: name, count }, { peer }) {
    const raw = implementation === 'raw quinn';
    if (raw && OURS_ONLY.includes(name)) return {};
    const pace = name === 'datagrams-paced' ? [String(Math.round(PACE * rawRate))] : [];
    const server = raw ? new Program(peer, ['quic-server']) : measured('webtransport-server', []);
    return withPrograms([server], async () => {
      const { port, certificate } = await server.next();
      const client = raw
        ? new Program(peer, ['quic-client', name, `127.0.0.1:${port}`, certificate, String(count), ...pace])
        : measured('webtransport', [name, String(port), certificate, String(count), ...pace]);
      const figures = await withPrograms([client], () => client.next());
      if (raw && name === 'datagrams') rawRate = figures.rate;
      return figures;
    });
  },
};
