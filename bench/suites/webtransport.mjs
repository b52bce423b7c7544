// The WebTransport cases: webwire in two Node processes, beside plain QUIC in two Rust processes as the ceiling.
import { atMost } from '../marks.mjs';
import { measured, Program, withPrograms } from '../processes.mjs';

const cases = [
  {
    title: 'establish',
    parameters: { case: 'establish', count: 64 },
    measures: [
      { key: 'median', unit: 'ms median' },
      { key: 'p90', unit: 'ms p90' },
      { key: 'cpu', unit: 'ms CPU' },
    ],
  },
  {
    title: 'stream, 64 KiB writes',
    parameters: { case: 'stream', count: 512 << 20 },
    measures: [
      { key: 'rate', unit: 'MB/s' },
      { key: 'cpu', unit: 's CPU/GB', mark: atMost(2, 'raw quinn') },
    ],
  },
  {
    title: 'small bidi streams',
    parameters: { case: 'small-streams', count: 16_384 },
    measures: [
      { key: 'rate', unit: 'streams/s' },
      { key: 'cpu', unit: 'µs CPU' },
    ],
  },
  {
    title: 'datagrams 1200 B',
    parameters: { case: 'datagrams', count: 160_000 },
    measures: [
      { key: 'rate', unit: 'arrived/s' },
      { key: 'arrived', unit: '% arrived' },
      { key: 'cpu', unit: 'µs CPU' },
    ],
  },
  {
    title: 'round trip 64 B',
    parameters: { case: 'round-trip', count: 8_000 },
    measures: [
      { key: 'p50', unit: 'µs p50' },
      { key: 'p99', unit: 'µs p99' },
      { key: 'cpu', unit: 'µs CPU' },
    ],
  },
];

export const webtransport = {
  name: 'wt',
  title: 'WebTransport: two Node processes, raw quinn: two Rust processes without HTTP/3; CPU of both',
  implementations: ['webwire', 'raw quinn'],
  rivals: ['raw quinn'],
  cases,
  run(implementation, { case: name, count }, { peer }) {
    const raw = implementation === 'raw quinn';
    const server = raw ? new Program(peer, ['quic-server']) : measured('webtransport-server', []);
    return withPrograms([server], async () => {
      const { port, certificate } = await server.next();
      const client = raw
        ? new Program(peer, ['quic-client', name, `127.0.0.1:${port}`, certificate, String(count)])
        : measured('webtransport', [name, String(port), certificate, String(count)]);
      return await withPrograms([client], () => client.next());
    });
  },
};
