// One end of a session in a process of its own, to be killed: `server` listens and tells where; `client` connects to the
// place that its parent tells. Each opens a stream, so that the other knows that it is there. `flood` connects too, opens
// streams only to give them up both ways until it is thrown out, again and again, and tells how many and what CPU time it took.

import webwire from '../../index.js';
import { createCertificate } from '../helpers/certificate.mjs';
import { givingUp } from './pair.mjs';

const { WebTransport, WebTransportServer } = webwire;

async function run(session) {
  await session.ready;
  const writer = (await session.createUnidirectionalStream()).getWriter();
  await writer.write(Uint8Array.of(1));
  await session.closed;
}

const ROUNDS = 5;

async function flood({ url, hash, kind }) {
  const before = process.cpuUsage();
  let count = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const value = Uint8Array.from(hash);
    const session = new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
    const thrownOut = session.closed.catch(() => {});
    await session.ready;
    const giveUp = async () => {
      for (; ; count += 1) await givingUp[kind](session);
    };
    await giveUp().catch(() => {});
    await thrownOut;
  }
  const { user, system } = process.cpuUsage(before);
  process.send({ count, microseconds: user + system });
  process.disconnect();
}

if (process.argv[2] === 'flood') process.once('message', flood);
else if (process.argv[2] === 'server') {
  const { cert, key, hash } = createCertificate();
  const server = new WebTransportServer({ host: '127.0.0.1', cert, key });
  await server.ready;
  process.send({ port: server.address().port, hash: [...hash] });
  server.onconnection = ({ socket }) => run(socket);
} else {
  process.once('message', ({ url, hash }) => {
    const value = Uint8Array.from(hash);
    run(new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] }));
  });
}
