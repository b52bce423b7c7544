// Our WebTransport against a server that breaks the rules: that session fails or ends as it should, and the process lives.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { test } from 'node:test';
import webwire from '../../index.js';
import { certificateFiles } from './certificate-files.mjs';
import { startPeer } from './counterpart.mjs';
import { TIMEOUT_MS } from './timeout.mjs';

const { WebTransport, WebTransportError } = webwire;

async function startServer(context, ...kind) {
  const { cert, key, hash } = certificateFiles(context);
  const server = startPeer(context, 'web_transport_faults.py', cert, key, ...kind);
  const { port } = await server.event('listening');
  const connect = (fault) =>
    new WebTransport(`https://127.0.0.1:${port}/${fault}`, {
      serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
    });
  return { server, connect };
}

const isSessionError = (error) => error instanceof WebTransportError && error.source === 'session';

for (const [fault, expected] of [
  ['close-then-data', { closeCode: 5, reason: 'x' }],
  ['close-twice', { closeCode: 5, reason: 'x' }],
  ['bad-utf8', { closeCode: 1, reason: 'a\ufffdb' }],
  ['unknown-capsules', { closeCode: 1, reason: '' }],
  ['endless-capsule', { closeCode: 0, reason: '' }],
  ['cut-capsule', { closeCode: 0, reason: '' }],
  ['fin', { closeCode: 0, reason: '' }],
]) {
  test(`${fault}: closed is fulfilled`, { timeout: TIMEOUT_MS }, async (context) => {
    const client = (await startServer(context)).connect(fault);
    await client.ready;
    assert.deepEqual(await client.closed, expected);
  });
}

for (const fault of ['long-reason', 'no-code', 'cut-frame', 'foreign-session']) {
  test(`${fault}: the session breaks, and its streams with it`, { timeout: TIMEOUT_MS }, async (context) => {
    const client = (await startServer(context)).connect(fault);
    await client.ready;
    const reading = client.incomingUnidirectionalStreams.getReader().read();
    await assert.rejects(client.closed, isSessionError);
    await assert.rejects(reading, isSessionError);
    await assert.rejects(client.createBidirectionalStream(), { name: 'InvalidStateError' });
  });
}

for (const fault of ['close-then-data', 'close-twice', 'long-reason', 'no-code']) {
  test(`${fault}: the session's stream is reset with H3_MESSAGE_ERROR`, { timeout: TIMEOUT_MS }, async (context) => {
    const { server, connect } = await startServer(context);
    const client = connect(fault);
    await Promise.allSettled([client.ready, client.closed]);
    assert.deepEqual(await server.event('reset'), { event: 'reset', code: 0x10e });
  });
}

for (const fault of ['reset', 'connection-close', 'stateless-reset']) {
  test(`${fault}: every open stream errors with the session`, { timeout: TIMEOUT_MS }, async (context) => {
    const client = (await startServer(context)).connect(fault);
    await client.ready;
    const bidirectional = await client.createBidirectionalStream();
    const writers = [bidirectional.writable, await client.createUnidirectionalStream()].map((one) => one.getWriter());
    for (const writer of writers) await writer.write(Uint8Array.of(1));
    const reader = bidirectional.readable.getReader();
    const untouched = await client.createBidirectionalStream();
    const ends = [
      client.closed,
      client.incomingUnidirectionalStreams.getReader().read(),
      client.incomingBidirectionalStreams.getReader().closed,
      client.datagrams.readable.getReader().read(),
      reader.read(),
      reader.closed,
      untouched.readable.getReader().closed,
      untouched.writable.getWriter().closed,
      ...writers.map((writer) => writer.closed),
    ];
    const outcomes = Promise.allSettled(ends);
    // Now the server does it.
    await client.datagrams.createWritable().getWriter().write(new Uint8Array(1));
    for (const { reason } of await outcomes) assert.ok(isSessionError(reason), reason);
    for (const writer of writers) await assert.rejects(writer.write(Uint8Array.of(2)), isSessionError);
    await assert.rejects(client.createBidirectionalStream(), { name: 'InvalidStateError' });
  });
}

for (const fault of [
  'data-first',
  'goaway-first',
  'no-answer',
  'bad-status',
  'dynamic-table',
  'goaway-unanswered',
  'unasked-protocol',
  'large-headers',
  'large-frame',
]) {
  test(`${fault}: ready is rejected`, { timeout: TIMEOUT_MS }, async (context) => {
    const client = (await startServer(context)).connect(fault);
    await assert.rejects(client.ready, isSessionError);
    await assert.rejects(client.closed, isSessionError);
  });
}

test('an interim answer is passed over', { timeout: TIMEOUT_MS }, async (context) => {
  const client = (await startServer(context)).connect('interim');
  await client.ready;
  client.close();
});

for (const fault of ['drain', 'goaway']) {
  test(`${fault}: draining is fulfilled, streams go on`, { timeout: TIMEOUT_MS }, async (context) => {
    const client = (await startServer(context)).connect(fault);
    await client.draining;
    const { readable, writable } = await client.createBidirectionalStream();
    const writer = writable.getWriter();
    await writer.write(Uint8Array.of(1, 2, 3));
    await writer.close();
    const { value } = await readable.getReader().read();
    assert.deepEqual([...value], [1, 2, 3]);
    client.close();
  });
}

test('a reset with a code of HTTP/3 has no code for the script', { timeout: TIMEOUT_MS }, async (context) => {
  const client = (await startServer(context)).connect('foreign-code');
  const { value } = await client.incomingUnidirectionalStreams.getReader().read();
  const reader = value.getReader();
  await reader.read();
  await client.datagrams.createWritable().getWriter().write(new Uint8Array(1));
  await assert.rejects(
    reader.read(),
    (error) => error instanceof WebTransportError && error.source === 'stream' && error.streamErrorCode === null,
  );
  client.close();
});

for (const [kind, what, cause] of [
  ['plain', 'HTTP/3 without WebTransport', ['settings', 'ERR_NO_WEBTRANSPORT']],
  ['other-alpn', 'no HTTP/3', ['tls', 'EPROTO']],
]) {
  test(`a server that speaks ${what} is asked for nothing`, { timeout: TIMEOUT_MS }, async (context) => {
    const causes = [];
    const hear = ({ error }) => causes.push([error.phase, error.code]);
    subscribe('webwire:webtransport:error', hear);
    context.after(() => unsubscribe('webwire:webtransport:error', hear));
    const { server, connect } = await startServer(context, kind);
    const requested = server.event('request').then(() => 'requested');
    requested.catch(() => {});
    const client = connect('');
    const outcome = await Promise.race([requested, client.ready.then(() => 'ready', isSessionError)]);
    assert.equal(outcome, true);
    assert.deepEqual(causes, [cause]);
  });
}
