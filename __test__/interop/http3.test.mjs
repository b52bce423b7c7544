// Plain HTTP/3 requests at a WebTransportServer, with the crates h3 and h3-quinn, aioquic and Chromium as clients.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import webwire from '../../index.js';
import { startBrowser } from './browser.mjs';
import { certificateFiles } from './certificate-files.mjs';
import { startPeer } from './counterpart.mjs';
import { TIMEOUT_MS } from './timeout.mjs';

const { WebTransport, WebTransportServer } = webwire;

const MIB = 1024 * 1024;
const root = path.resolve(import.meta.dirname, '../..');
let program;

before(() => {
  const built = spawnSync('cargo', ['build', '--locked', '--example', 'http3-client', '--message-format=json'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * MIB,
  });
  assert.equal(built.status, 0, built.stderr);
  const messages = built.stdout.split('\n').filter((line) => line.includes('"executable":"'));
  program = JSON.parse(messages.at(-1)).executable;
});

/** Listens with this hook: `{ port, cert, server }`. */
async function serve(context, onRequest, options) {
  const files = certificateFiles(context);
  const [cert, key] = [readFileSync(files.cert), readFileSync(files.key)];
  const server = new WebTransportServer({ host: '127.0.0.1', cert, key, onRequest, ...options });
  context.after(() => server.close({ timeoutMs: 0 }));
  await server.ready;
  return { ...files, server, port: server.address().port };
}

/** Runs an exercise of the client: its lines, and its end. */
function run(context, { port, cert }, exercise) {
  const child = spawn(program, [port, cert, exercise], { env: { ...process.env, RUST_BACKTRACE: '0' } });
  context.after(() => child.kill());
  let errors = '';
  child.stderr.on('data', (data) => {
    errors += data;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = once(child, 'close');
  return {
    child,
    async line() {
      const { done, value } = await lines.next();
      if (!done) return value;
      await ended;
      throw new Error(errors);
    },
    async done() {
      assert.equal(await this.line(), 'done');
    },
  };
}

/** Bytes that are not all the same: those of the client. */
const pattern = (length) => Uint8Array.from({ length }, (_, index) => index * 7 + Math.floor(index / 251));

/** One chunk, and then a fault. */
const broken = () =>
  new ReadableStream({
    pull(controller) {
      if (this.begun) controller.error(new Error('a fault of the body'));
      else controller.enqueue(pattern(10));
      this.begun = true;
    },
  });

/** What each path answers. */
function answer(request) {
  switch (new URL(request.url).pathname) {
    case '/echo':
      return new Response(request.body);
    case '/head':
      return new Response('12345', { headers: { 'content-length': '5' } });
    case '/no-content':
      return new Response(null, { status: 204 });
    case '/read':
      return request.arrayBuffer().then(() => new Response('read'));
    case '/early':
      return new Response('too much', { status: 413 });
    case '/throws':
      throw new Error('a fault of the handler');
    case '/no-response':
      return 'text';
    case '/broken':
      return new Response(broken());
    case '/short':
      return new Response('1234', { headers: { 'content-length': '5' } });
    case '/no-bytes':
      return new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue('text'),
        }),
      );
    default:
      return undefined;
  }
}

for (const exercise of ['head', 'echo', 'parallel', 'answered-early']) {
  test(`h3: ${exercise}`, { timeout: TIMEOUT_MS }, async (context) => {
    await run(context, await serve(context, answer), exercise).done();
  });
}

for (const [exercise, expected] of [
  ['statuses', 2],
  ['broken-answer', 3],
  // The handler's read of the request fails, which is no fault of its own.
  ['wrong-length', 0],
]) {
  test(`h3: ${exercise}, and each fault is warned of`, { timeout: TIMEOUT_MS }, async (context) => {
    const warnings = [];
    const warned = (warning) => warnings.push(warning);
    process.on('warning', warned);
    context.after(() => process.off('warning', warned));
    await run(context, await serve(context, answer), exercise).done();
    assert.equal(warnings.length, expected, String(warnings));
  });
}

/** Collects which clients the operator hears were refused. */
function refusals(context) {
  const messages = [];
  const refused = (message) => messages.push(message);
  subscribe('webwire:webtransport:server:reject', refused);
  context.after(() => unsubscribe('webwire:webtransport:server:reject', refused));
  return messages;
}

for (const [exercise, options, expected] of [
  [
    'statuses',
    {},
    [
      ['/nothing', 'ERR_NOT_SERVED', 404],
      ['/throws', 'ERR_REQUEST_HOOK', 500],
      ['/no-response', 'ERR_REQUEST_HOOK', 500],
      [undefined, 'ERR_HANDSHAKE_REQUEST', 501],
    ],
  ],
  ['late', { requestTimeoutMs: 50 }, [['/late', 'ETIMEDOUT', 503]]],
  ['get', {}, []],
]) {
  test(`h3: ${exercise}, and what the operator hears of refusals`, { timeout: TIMEOUT_MS }, async (context) => {
    context.mock.method(process, 'emitWarning', () => {});
    const messages = refusals(context);
    const hook = (request) => (exercise === 'late' ? new Promise(() => {}) : answer(request));
    const served = await serve(context, hook, options);
    await run(context, served, exercise).done();
    await served.server.close({ timeoutMs: 0 });
    const told = messages.map(({ request, error: { code, status } }) => [
      request && new URL(request.url).pathname,
      code,
      status,
    ]);
    assert.deepEqual(told, expected);
    for (const { server, error } of messages) {
      assert.equal(server, served.server);
      assert.deepEqual([error.phase, error.address], ['handshake', '127.0.0.1']);
      assert.ok(error.port > 0);
    }
  });
}

test('h3: two sessions are accepted at once where there may be one', { timeout: TIMEOUT_MS }, async (context) => {
  const messages = refusals(context);
  const served = await serve(context);
  const requests = served.server.incomingRequests.getReader();
  const client = run(context, served, 'two-sessions');
  const [{ value: one }, { value: two }] = [await requests.read(), await requests.read()];
  const [first, second] = [await one.accept(), await two.accept()];
  first.closed.catch(() => {});
  await first.ready;
  await assert.rejects(second.ready);
  await client.done();
  const [{ server, request, error }] = messages;
  assert.deepEqual([messages.length, error.code, error.status], [1, 'ERR_TOO_MANY_SESSIONS', undefined]);
  assert.equal(server, served.server);
  assert.equal(request, two);
});

test('h3: a request and its answer, member by member', { timeout: TIMEOUT_MS }, async (context) => {
  const served = await serve(context, (request, info) => {
    const { method, url, headers, body, signal } = request;
    return Response.json(
      { method, url, headers: [...headers], body, aborted: signal.aborted, info },
      {
        status: 418,
        headers: [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
          ['connection', 'close'],
        ],
      },
    );
  });
  const client = run(context, served, 'members');
  const { info, ...told } = JSON.parse(await client.line());
  assert.deepEqual(told, {
    method: 'GET',
    url: 'https://localhost/members?a=%20b',
    headers: [
      ['cookie', 'a=1; b=2'],
      ['x-one', '1, 2'],
    ],
    body: null,
    aborted: false,
  });
  assert.deepEqual({ ...info.remoteAddress, port: 0 }, { address: '127.0.0.1', family: 'IPv4', port: 0 });
  assert.deepEqual(info.tls, { servername: 'localhost', protocol: 'TLSv1.3', authorized: false });
  await client.done();
});

test('h3: what a client does not read stays with the script', { timeout: TIMEOUT_MS }, async (context) => {
  const chunk = pattern(MIB);
  let pulled = 0;
  const served = await serve(context, (request) => {
    if (!request.url.endsWith('/unread')) return answer(request);
    const body = new ReadableStream(
      {
        pull(controller) {
          if (pulled === 32) return controller.close();
          pulled += 1;
          controller.enqueue(chunk);
        },
      },
      { highWaterMark: 0 },
    );
    return new Response(body);
  });
  const client = run(context, served, 'unread');
  assert.equal(await client.line(), 'waiting');
  // Others are served meanwhile.
  await run(context, served, 'get').done();
  assert.ok(pulled < 16, `${pulled} MiB have been taken`);
  client.child.stdin.write('read\n');
  await client.done();
  assert.equal(pulled, 32);
});

test('h3: a client that gives up cancels the body and aborts the signal', { timeout: TIMEOUT_MS }, async (context) => {
  const cancelled = signalOf();
  const aborted = signalOf();
  const served = await serve(context, (request) => {
    if (!request.url.endsWith('/endless')) return answer(request);
    request.signal.onabort = () => aborted.resolve(request.signal.reason);
    return new Response(
      new ReadableStream({ pull: (controller) => controller.enqueue(pattern(1000)), cancel: cancelled.resolve }),
    );
  });
  const client = run(context, served, 'cancelled');
  assert.equal(await client.line(), 'cancelled');
  assert.equal((await aborted.promise).name, 'AbortError');
  assert.equal((await cancelled.promise).name, 'AbortError');
  await client.done();
});

test('h3: a handler that does not answer in time', { timeout: TIMEOUT_MS }, async (context) => {
  const aborted = signalOf();
  const served = await serve(
    context,
    (request) => {
      request.signal.onabort = () => aborted.resolve(request.signal.reason);
      return new Promise(() => {});
    },
    { requestTimeoutMs: 50 },
  );
  const client = run(context, served, 'late');
  assert.equal((await aborted.promise).name, 'TimeoutError');
  await client.done();
});

test('h3: a client that takes nothing of an answer is given up', { timeout: TIMEOUT_MS }, async (context) => {
  const cancelled = signalOf();
  const served = await serve(
    context,
    () =>
      new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(pattern(MIB)), cancel: cancelled.resolve }),
      ),
    { responseTimeoutMs: 200 },
  );
  const client = run(context, served, 'unread');
  assert.equal(await client.line(), 'waiting');
  assert.equal((await cancelled.promise).name, 'TimeoutError');
});

test('a worker that is terminated ends its answers', { timeout: TIMEOUT_MS }, async (context) => {
  const files = certificateFiles(context);
  const script = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { WebTransportServer } = require(workerData.webwire);
    const body = () => new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(100_000)) });
    const server = new WebTransportServer({ host: '127.0.0.1', ...workerData, onRequest: () => new Response(body()) });
    server.ready.then(() => parentPort.postMessage(server.address().port));
  `;
  const [cert, key] = [files.cert, files.key].map((file) => readFileSync(file, 'utf8'));
  const worker = new Worker(script, { eval: true, workerData: { webwire: path.join(root, 'index.js'), cert, key } });
  const [port] = await once(worker, 'message');
  const client = run(context, { port, cert: files.cert }, 'unread');
  assert.equal(await client.line(), 'waiting');
  await worker.terminate();
  client.child.stdin.write('read\n');
  await assert.rejects(client.line(), /H3_INTERNAL_ERROR|ConnectionError/);
});

test('sessions and plain requests on one port; close() waits for answers', { timeout: TIMEOUT_MS }, async (context) => {
  const asked = signalOf();
  const answered = signalOf();
  const served = await serve(context, async (request) => {
    if (!(request instanceof Request)) return;
    asked.resolve();
    await answered.promise;
    return new Response('12345', { headers: { 'content-length': '5' } });
  });
  served.server.onconnection = () => {};
  const session = new WebTransport(`https://127.0.0.1:${served.port}/`, {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: served.hash }],
  });
  await session.ready;
  const client = run(context, served, 'get');
  await asked.promise;
  const closed = served.server.close({ timeoutMs: 20_000 });
  session.close();
  answered.resolve();
  await Promise.all([closed, client.done()]);
});

test('without a hook the answer is 404', { timeout: TIMEOUT_MS }, async (context) => {
  const peer = startPeer(context, 'http3_client.py', ...Object.values(await aioquicAt(context)), 'GET', '/');
  assert.equal((await peer.event('answer')).status, 404);
});

test('aioquic: GET, HEAD and an echo of 1 MiB', { timeout: TIMEOUT_MS }, async (context) => {
  const at = Object.values(await aioquicAt(context, answer));
  const ask = (...words) => startPeer(context, 'http3_client.py', ...at, ...words).event('answer');
  assert.deepEqual(await ask('GET', '/head'), { event: 'answer', status: 200, length: 5, same: false });
  // With a content-length aioquic takes the answer to HEAD for a broken one.
  assert.deepEqual(await ask('HEAD', '/early'), { event: 'answer', status: 413, length: 0, same: true });
  assert.deepEqual(await ask('POST', '/echo', String(MIB)), { event: 'answer', status: 200, length: MIB, same: true });
});

test('aioquic: requests that are taken back at once end in H3_EXCESSIVE_LOAD', {
  timeout: TIMEOUT_MS,
}, async (context) => {
  let asked = 0;
  const { port, cert } = await serve(context, (request) => {
    if (!(request instanceof Request)) return;
    asked += 1;
    return new Promise(() => {});
  }).then(({ server, ...served }) => {
    server.onconnection = ({ socket }) => socket.closed.catch(() => {});
    return served;
  });
  const peer = startPeer(context, 'web_transport_hostile.py', String(port), cert, 'plain-requests');
  assert.deepEqual(await peer.event('ended'), { event: 'ended', code: 0x107 });
  assert.ok(asked > 0);
});

for (const [fault, code] of [
  ['data-first', 0x105],
  ['data-behind-trailers', 0x105],
]) {
  test(`aioquic: ${fault}`, { timeout: TIMEOUT_MS }, async (context) => {
    const { port, cert, server } = await serve(context, (request) =>
      request instanceof Request ? request.text().then((text) => new Response(text)) : undefined,
    );
    server.onconnection = ({ socket }) => socket.closed.catch(() => {});
    const peer = startPeer(context, 'web_transport_hostile.py', String(port), cert, fault);
    assert.deepEqual(await peer.event('ended'), { event: 'ended', code });
  });
}

test('Chromium: a page, what it fetches and its session, all on one port', { timeout: TIMEOUT_MS }, async (context) => {
  const seen = [];
  const { port, cert, server } = await serve(context, (request) => {
    if (!(request instanceof Request)) return undefined;
    seen.push(`${request.method} ${new URL(request.url).pathname}`);
    if (!request.url.endsWith('/page')) return answer(request);
    return new Response('<!doctype html><link rel="icon" href="data:,"><title>over HTTP/3</title>', {
      headers: { 'content-type': 'text/html' },
    });
  });
  server.onconnection = ({ socket }) => {
    socket.closed.catch(() => {});
    socket.createUnidirectionalStream().then((stream) => stream.getWriter().close());
  };
  const key = new X509Certificate(readFileSync(cert)).publicKey.export({ type: 'spki', format: 'der' });
  const browser = await startBrowser(
    context,
    `--origin-to-force-quic-on=127.0.0.1:${port}`,
    `--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`,
  );
  const page = await browser.open(`https://127.0.0.1:${port}/page`);
  assert.equal(await page.title(), 'over HTTP/3');
  const outcome = await page.evaluate(async () => {
    const body = new Uint8Array(1_000_000).map((_, index) => index * 7);
    const echoed = new Uint8Array(await (await fetch('/echo', { method: 'POST', body })).arrayBuffer());
    const head = await fetch('/head', { method: 'HEAD' });
    const missing = await fetch('/nothing');
    const session = new WebTransport(location.origin);
    const { value } = await session.incomingUnidirectionalStreams.getReader().read();
    const { done } = await value.getReader().read();
    session.close();
    const [{ nextHopProtocol }] = performance.getEntriesByType('navigation');
    return {
      same: echoed.length === body.length && echoed.every((byte, index) => byte === body[index]),
      length: head.headers.get('content-length'),
      missing: missing.status,
      done,
      nextHopProtocol,
    };
  });
  assert.deepEqual(outcome, { same: true, length: '5', missing: 404, done: true, nextHopProtocol: 'h3' });
  assert.deepEqual(seen, ['GET /page', 'POST /echo', 'HEAD /head', 'GET /nothing']);
});

async function aioquicAt(context, onRequest) {
  const { port, cert } = await serve(context, onRequest);
  return { port: String(port), cert };
}

/** `Promise.withResolvers`, which Node 20 lacks. */
function signalOf() {
  let resolve;
  const promise = new Promise((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
