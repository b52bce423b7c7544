// What is put off until the running script is done, when the session ends before that.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { sockets } from '../helpers/descriptors.mjs';
import { connect, startServer } from './pair.mjs';

const require = createRequire(import.meta.url);
const native = require('../../dist/binding.js').native();
const { hub } = require('../../dist/hub.js');
const skip = existsSync('/proc/self/fd') ? false : 'the sockets of a process are not to be seen here';

test('a stream that is opened in the moment in which its session ends holds no socket', { skip }, async (context) => {
  const listener = await startServer(context);
  const before = sockets();
  const client = connect(listener);
  const server = await (await listener.request()).accept();
  await client.ready;
  assert.equal(sockets(), before + 1);
  // What is at hand when the stream is opened has the session's end in it.
  context.mock.method(hub, 'afterwards', () => {});
  // The native object is not collected meanwhile.
  const { openStream } = native.WebTransportSession.prototype;
  let session;
  context.mock.method(native.WebTransportSession.prototype, 'openStream', function (...given) {
    session = this;
    return openStream.apply(this, given);
  });
  await client.createBidirectionalStream();
  server.close({ closeCode: 7 });
  assert.deepEqual(await client.closed, { closeCode: 7, reason: '' });
  while (sockets() > before) await new Promise(setImmediate);
  assert.ok(session instanceof native.WebTransportSession);
});
