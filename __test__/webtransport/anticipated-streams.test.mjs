// Streams that a script expects its peer to open at once.
// https://www.w3.org/TR/webtransport/#dom-webtransport-anticipatedconcurrentincomingunidirectionalstreams

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';
import { openable, openSession } from './pair.mjs';

const { WebTransport } = webwire;

const UNIDIRECTIONAL = 'anticipatedConcurrentIncomingUnidirectionalStreams';
const BIDIRECTIONAL = 'anticipatedConcurrentIncomingBidirectionalStreams';
const kinds = [
  [UNIDIRECTIONAL, 'createUnidirectionalStream'],
  [BIDIRECTIONAL, 'createBidirectionalStream'],
];

for (const [name, create] of kinds) {
  test(`${name} as an option`, async (context) => {
    const { client, server } = await openSession(context, { [name]: 300 });
    assert.equal(client[name], 300);
    assert.equal(server[name], null);
    // Up to three of HTTP/3's own are among the unidirectional ones.
    const count = await openable(server, create);
    assert.ok(count <= 300 && count >= 297, `${count}`);
  });

  test(`${name} as an attribute, before and after the session is there`, async (context) => {
    const { client, server } = await openSession(context);
    assert.equal(client[name], null);
    const before = await openable(server, create);
    assert.ok(before >= 100 && before < 129, `${before}`);
    client[name] = 200;
    // The peer hears of it in time.
    const more = await server[create]({ waitUntilAvailable: true });
    assert.ok(more);
    const count = before + 1 + (await openable(server, create));
    assert.ok(count >= 197 && count <= 200, `${count}`);
    client[name] = null;
    assert.equal(client[name], null);
  });

  test(`${name} is converted`, async () => {
    for (const wrong of [-1, 65_536, Number.NaN, 'x', Infinity]) {
      assert.throws(() => new WebTransport('https://localhost/', { [name]: wrong }), TypeError);
    }
    const client = new WebTransport('https://localhost/', { [name]: '7' });
    assert.equal(client[name], 7);
    for (const wrong of [-1, 65_536, Number.NaN, 'x', Infinity]) {
      assert.throws(() => {
        client[name] = wrong;
      }, TypeError);
    }
    client[name] = undefined;
    assert.equal(client[name], null);
    client[name] = 65_535.9;
    assert.equal(client[name], 65_535);
    client.close();
  });
}
