// https://www.w3.org/TR/webtransport/#dom-webtransport-exportkeyingmaterial

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { connect, openSession, startServer } from './pair.mjs';

const { WebTransport } = webwire;
const bytes = (text) => new TextEncoder().encode(text);

test('both ends derive the same from the same parameters, and nothing else is the same', async (context) => {
  const { client, server } = await openSession(context);
  const seen = new Set();
  for (const [label, use, length] of [
    ['', '', 32],
    ['a', '', 32],
    ['', 'a', 32],
    ['a', 'b', 32],
    ['x'.repeat(255), 'y'.repeat(255), 4096],
  ]) {
    const [ours, theirs] = await Promise.all(
      [client, server].map((end) => end.exportKeyingMaterial(bytes(label), bytes(use), length)),
    );
    assert.ok(ours instanceof Uint8Array);
    assert.equal(ours.length, length);
    assert.deepEqual(ours, theirs);
    seen.add(Buffer.from(ours).toString('hex').slice(0, 64));
  }
  assert.equal(seen.size, 5);
  const other = await openSession(context);
  const [one, two] = await Promise.all(
    [client, other.client].map((end) => end.exportKeyingMaterial(bytes('a'), bytes('b'), 32)),
  );
  assert.notDeepEqual(one, two);
});

test('it waits for the session, and takes the parameters at the call', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const label = bytes('a');
  const early = client.exportKeyingMaterial(label, label.buffer, 16);
  label.fill(0);
  const server = await (await listener.request()).accept();
  assert.deepEqual(await early, await server.exportKeyingMaterial(bytes('a'), bytes('a'), 16));
  client.close();
});

for (const [what, ...given] of [
  ['a label of 256 bytes', new Uint8Array(256), new Uint8Array(), 1],
  ['a context of 256 bytes', new Uint8Array(), new Uint8Array(256), 1],
  ['no output', new Uint8Array(), new Uint8Array(), 0],
  ['too much output', new Uint8Array(), new Uint8Array(), 8161],
]) {
  test(`${what}: RangeError`, async () => {
    const client = new WebTransport('https://localhost/');
    client.close();
    await assert.rejects(client.exportKeyingMaterial(...given), RangeError);
  });
}

for (const given of [[], [new Uint8Array(), new Uint8Array()], ['a', new Uint8Array(), 1], [new Uint8Array(), 1, 1]]) {
  test(`wrong arguments (${given.length}): TypeError`, async () => {
    const client = new WebTransport('https://localhost/');
    client.close();
    await assert.rejects(client.exportKeyingMaterial(...given), TypeError);
  });
}

test('a session that is over, or fails meanwhile, has none', async (context) => {
  const listener = await startServer(context);
  const client = connect(listener);
  const early = client.exportKeyingMaterial(new Uint8Array(), new Uint8Array(), 8160);
  (await listener.request()).reject(404);
  await assert.rejects(early, { name: 'InvalidStateError', constructor: DOMException });
  await assert.rejects(client.exportKeyingMaterial(new Uint8Array(), new Uint8Array(), 1), {
    name: 'InvalidStateError',
  });
});
