// webwire's serving end of the WebTransport cases. The first byte of a bidirectional stream says what becomes of it, in
// the same way as in bench/peer/src/quic_server.rs: `S` counts, `E` sends back, `C` tells the CPU time used, `D` how many
// datagrams a script has read of the session, `M` the memory.
import { generateCertificate, WebTransportServer } from 'webwire/webtransport';
import { cpuSeconds, endWithParent, residentBytes, tell } from './figures.mjs';

const streams = {
  async S(reader, writer, first) {
    let bytes = first.byteLength;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.byteLength;
    }
    await writer.write(eightBytes(bytes));
    await writer.close();
  },
  async E(reader, writer, first) {
    // What was written is taken when QUIC has it: waiting for it here is the back-pressure.
    await writer.write(first);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      await writer.write(value);
    }
    await writer.close();
  },
  async C(_reader, writer) {
    await writer.write(eightBytes(Math.round(cpuSeconds() * 1e9)));
    await writer.close();
  },
  async D(_reader, writer, _first, datagrams) {
    await writer.write(eightBytes(datagrams.read));
    await writer.close();
  },
  async M(_reader, writer) {
    await writer.write(eightBytes(residentBytes()));
    await writer.close();
  },
};

function eightBytes(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

async function serveStream({ readable, writable }, datagrams) {
  const reader = readable.getReader();
  const { value } = await reader.read();
  await streams[String.fromCharCode(value[0])](reader, writable.getWriter(), value, datagrams);
}

async function readDatagrams(readable, datagrams) {
  const reader = readable.getReader();
  while (!(await reader.read()).done) datagrams.read += 1;
}

async function serveSession(session) {
  // A session that ends takes its streams with it.
  const ended = () => {};
  session.closed.catch(ended);
  const datagrams = { read: 0 };
  readDatagrams(session.datagrams.readable, datagrams).catch(ended);
  const reader = session.incomingBidirectionalStreams.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    serveStream(value, datagrams).catch(ended);
  }
}

endWithParent();
const { certificate, key, hash } = await generateCertificate();
const server = new WebTransportServer({ host: '127.0.0.1', port: 0, cert: certificate, key });
await server.ready;
await tell({ port: server.address().port, certificate: Buffer.from(hash).toString('hex') });
for await (const request of server.incomingRequests) {
  serveSession(await request.accept()).catch(() => {});
}
