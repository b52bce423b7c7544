// The limits that are in force where a script says nothing: what the native core is given.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { convertArguments, convertStreamArguments } from '../../dist/websocket/options.js';
import { convertServerOptions } from '../../dist/websocket/server-options.js';

const MIB = 1024 * 1024;

test('of a client', () => {
  for (const { destination } of [
    convertArguments('ws://127.0.0.1/', undefined),
    convertArguments('ws://127.0.0.1/', {}),
    convertStreamArguments('ws://127.0.0.1/', {}),
  ]) {
    assert.equal(destination.handshakeTimeoutMs, 30_000);
    assert.equal(destination.serializeHandshakes, true);
    assert.deepEqual(destination.limits, { closeTimeoutMs: 10_000, maxMessageSize: 128 * MIB });
    assert.deepEqual(destination.headers, []);
    assert.equal(destination.tls, undefined);
    assert.notEqual(destination.deflate, undefined);
  }
});

test('of a server, and of one with keepAlive: true', () => {
  for (const options of [{}, { keepAlive: true }, { keepAlive: {} }]) {
    const { listener, maxConnections } = convertServerOptions(options);
    assert.equal(maxConnections, 65_536);
    assert.deepEqual(listener, {
      port: 0,
      handshakeTimeoutMs: 30_000,
      maxPendingHandshakes: 1024,
      limits: {
        closeTimeoutMs: 10_000,
        maxMessageSize: 128 * MIB,
        maxQueuedBytes: 128 * MIB,
        keepAliveIntervalMs: 60_000,
        keepAliveTimeoutMs: 30_000,
      },
    });
  }
});
