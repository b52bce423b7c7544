// WebTransport against Chromium, Firefox and aioquic.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import webwire from '../../index.js';
import { startBrowser } from './browser.mjs';
import { certificateFiles } from './certificate-files.mjs';
import { startPeer } from './counterpart.mjs';
import { startFirefox } from './firefox.mjs';
import { serveOneRequest } from './servers.mjs';
import { TIMEOUT_MS } from './timeout.mjs';
import {
  exerciseClosed,
  exerciseDrain,
  exerciseGivingUp,
  exerciseRefused,
  exerciseWebTransport,
  serveClosed,
  serveDrain,
  serveGivingUp,
  serveWebTransport,
} from './webtransport-exercises.mjs';

const { WebTransport, WebTransportError } = webwire;

const PROTOCOLS = ['webwire-one', 'webwire-two'];
const CLOSE_INFO = { closeCode: 7, reason: 'done' };
/** The codes that a client gives up streams with, and the server. */
const CLIENTS_CODES = [0, 100, 255];
const SERVERS_CODES = CLIENTS_CODES.map((code) => 2 ** 32 - 1 - code);
const REFUSED = ['WebTransportError of the session', 'WebTransportError of the session'];

/** Accepts with the second protocol, where there is one, and has the session served. */
const accepts = (serve) => async (request, server) => {
  const session = await request.accept({ protocol: request.protocols[1] });
  return serve(session, server);
};

/** By the path of the request: what the client does, what we do as its server, and what each of them sees. */
const EXERCISES = {
  everything: {
    client: exerciseWebTransport,
    server: accepts(serveWebTransport),
    clientSees: { protocol: PROTOCOLS[1], ...CLOSE_INFO },
    serverSees: { answer: 'hello from the client', ...CLOSE_INFO },
  },
  reset: {
    client: exerciseGivingUp,
    server: accepts((session) => serveGivingUp(session, 'reset')),
    clientSees: { heard: SERVERS_CODES },
    serverSees: { heard: CLIENTS_CODES },
  },
  stop: {
    client: exerciseGivingUp,
    server: accepts((session) => serveGivingUp(session, 'stop')),
    clientSees: { heard: SERVERS_CODES },
    serverSees: { heard: CLIENTS_CODES },
  },
  closed: {
    client: exerciseClosed,
    server: accepts(serveClosed),
    clientSees: { closeCode: 2 ** 32 - 1, reason: 'bye €' },
    serverSees: undefined,
  },
  refused: {
    client: exerciseRefused,
    server: async (request) =>
      request.reject(403, { headers: { 'x-why': 'one', 'retry-after': '7' }, body: 'nobody €' }),
    clientSees: { said: REFUSED },
    serverSees: undefined,
  },
  drain: {
    client: exerciseDrain,
    server: accepts(serveDrain),
    clientSees: { echoed: [1, 2, 3], ...CLOSE_INFO },
    serverSees: CLOSE_INFO,
  },
};

/** What Firefox ESR 153 does otherwise: no protocols, no code for who reads a reset stream, no STOP_SENDING. */
const { stop: _, ...OTHERS } = EXERCISES;
const FIREFOX = {
  ...OTHERS,
  everything: { ...EXERCISES.everything, clientSees: CLOSE_INFO },
  reset: { ...EXERCISES.reset, clientSees: { heard: ['TypeError', 'TypeError', 'TypeError'] } },
  stopped: {
    client: exerciseGivingUp,
    server: accepts((session) => serveGivingUp(session, 'stopped')),
    clientSees: { heard: CLIENTS_CODES },
    serverSees: { heard: ['nothing', 'nothing', 'nothing'] },
  },
};

/** Has each exercise done by `evaluate`, which runs a script in a page. */
async function exercise(context, evaluate, exercises) {
  for (const [name, { client, server, clientSees, serverSees }] of Object.entries(exercises)) {
    await context.test(name, async (inner) => {
      const { port, hash, outcome } = await serveOneRequest(inner, webwire, server);
      const result = await evaluate(`(${client})(new WebTransport('https://127.0.0.1:${port}/${name}', {
        protocols: ${JSON.stringify(PROTOCOLS)},
        serverCertificateHashes: [{ algorithm: 'sha-256', value: Uint8Array.from([${[...hash]}]) }],
      }), '${name}')`);
      assert.deepEqual(result, clientSees);
      assert.deepEqual(await outcome, serverSees);
    });
  }
}

for (const [draft, ...args] of [['draft-02'], ['draft-07', '--enable-features=EnableWebTransportDraft07']]) {
  test(`Chromium to our WebTransportServer, ${draft}`, { timeout: 2 * TIMEOUT_MS }, async (context) => {
    const log = path.join(mkdtempSync(path.join(tmpdir(), 'webwire-net-log-')), 'log.json');
    context.after(() => rmSync(path.dirname(log), { recursive: true }));
    const browser = await startBrowser(context, `--log-net-log=${log}`, ...args);
    const page = await browser.open();
    await exercise(context, (script) => page.evaluate(script), EXERCISES);
    await browser.close();
    // What the two have agreed on is to be seen nowhere else.
    const drafts = new Set(readFileSync(log, 'utf8').match(/(?<="webtransport_http3_version":")[^"]+/g));
    assert.deepEqual([...drafts], [draft]);
  });
}

test('Firefox to our WebTransportServer', { timeout: 2 * TIMEOUT_MS }, async (context) => {
  const firefox = await startFirefox(context);
  await exercise(context, (script) => firefox.evaluate(script), FIREFOX);
});

/** By which setting aioquic announces WebTransport; the second is all that Safari has. */
const DRAFTS = ['draft-02', 'draft-13'];

/** What the client in Python says beyond the answer to its request, and that it is done. */
const SAID_BY_AIOQUIC = {
  everything: [],
  reset: [
    ...SERVERS_CODES.map((code) => ({ event: 'heard', code })),
    { event: 'closed', code: 0, reason: '', stopped: false },
  ],
  stop: [
    ...SERVERS_CODES.map((code) => ({ event: 'heard', code })),
    { event: 'closed', code: 0, reason: '', stopped: false },
  ],
  closed: [{ event: 'closed', code: 2 ** 32 - 1, reason: 'bye €', stopped: false }],
  refused: [{ event: 'refused', headers: { 'x-why': 'one', 'retry-after': '7' }, body: 'nobody €' }],
  drain: [{ event: 'echoed', text: '123' }],
};

for (const draft of DRAFTS) {
  test(`aioquic to our WebTransportServer, ${draft}`, { timeout: 2 * TIMEOUT_MS }, async (context) => {
    const { cert, key, hash } = certificateFiles(context);
    const certificate = { cert: readFileSync(cert), key: readFileSync(key), hash };
    for (const [name, { server, serverSees }] of Object.entries(EXERCISES)) {
      await context.test(name, async (inner) => {
        const { port, outcome } = await serveOneRequest(inner, webwire, server, certificate);
        const client = startPeer(inner, 'web_transport_client.py', port, cert, name, draft);
        const answer = name === 'refused' ? { status: 403, protocol: '' } : { status: 200, protocol: '"webwire-two"' };
        assert.deepEqual(await client.event('answer'), { event: 'answer', ...answer });
        for (const said of SAID_BY_AIOQUIC[name]) assert.deepEqual(await client.event(said.event), said);
        await client.event('done');
        assert.deepEqual(await outcome, serverSees);
      });
    }
  });
}

/** What the server in Python says beyond the path of the request. */
const SEEN_BY_AIOQUIC = {
  everything: [
    { event: 'answer', text: 'hello from the client' },
    { event: 'closed', code: 7, reason: 'done' },
  ],
  reset: CLIENTS_CODES.map((code) => ({ event: 'heard', code })),
  stop: CLIENTS_CODES.map((code) => ({ event: 'heard', code })),
  closed: [],
  drain: [{ event: 'closed', code: 7, reason: 'done' }],
};

for (const draft of DRAFTS) {
  test(`our WebTransport to aioquic, ${draft}`, { timeout: 2 * TIMEOUT_MS }, async (context) => {
    const { cert, key, hash } = certificateFiles(context);
    const peer = startPeer(context, 'web_transport_server.py', cert, key, draft);
    const { port } = await peer.event('listening');
    for (const [name, { client, clientSees }] of Object.entries(EXERCISES)) {
      await context.test(name, async () => {
        const transport = new WebTransport(`https://127.0.0.1:${port}/${name}`, {
          protocols: PROTOCOLS,
          serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
        });
        assert.deepEqual(await client(transport, name, WebTransportError), clientSees);
        if (name === 'refused') return;
        assert.equal((await peer.event('session')).path, name);
        for (const seen of SEEN_BY_AIOQUIC[name]) assert.deepEqual(await peer.event(seen.event), seen);
      });
    }
  });
}

/** Whether the peer sends on its first stream the keying material that our end of the session has. */
async function hasSameKeyingMaterial(session) {
  const bytes = (text) => new TextEncoder().encode(text);
  const { value: stream } = await session.incomingUnidirectionalStreams.getReader().read();
  const theirs = [];
  for await (const chunk of stream) theirs.push(chunk);
  const ours = await session.exportKeyingMaterial(bytes('label'), bytes('context'), 77);
  return Buffer.from(ours).equals(Buffer.concat(theirs));
}

test('exportKeyingMaterial and the key schedule of aioquic, either role', { timeout: TIMEOUT_MS }, async (context) => {
  const { cert, key, hash } = certificateFiles(context);
  const peer = startPeer(context, 'web_transport_server.py', cert, key);
  const { port: theirs } = await peer.event('listening');
  const client = new WebTransport(`https://127.0.0.1:${theirs}/keying`, {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
  });
  assert.equal(await hasSameKeyingMaterial(client), true);
  client.close();

  const certificate = { cert: readFileSync(cert), key: readFileSync(key), hash };
  const serve = async (request) => {
    const session = await request.accept();
    const is = await hasSameKeyingMaterial(session);
    session.close();
    return is;
  };
  const { port, outcome } = await serveOneRequest(context, webwire, serve, certificate);
  const far = startPeer(context, 'web_transport_client.py', port, cert, 'keying');
  assert.equal(await outcome, true);
  await far.event('done');
});
