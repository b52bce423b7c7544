// The sending side by itself: in which order messages go down, whenever the network takes what went before.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Sending } from '../../dist/websocket/sending.js';

test('an empty message that is gathered is not overtaken when the network takes what was before it', async () => {
  const sent = [];
  const sending = new Sending({
    send: (batch, length) => {
      for (let at = 0; at < length; ) {
        const size = batch.readUInt32LE(at) & 0x7fffffff;
        sent.push(batch.toString('utf8', at + 4, at + 4 + size));
        at += 4 + size;
      }
      return true;
    },
    // The network takes nothing at once.
    sendBinary: (data) => sent.push(data.length) === 0,
  });
  sending.binary(new Uint8Array(100_000));
  sending.binary(new Uint8Array(0));
  sending.drained(100_000);
  sending.text('behind');
  await turn();
  assert.deepEqual(sent, [100_000, '', 'behind']);
});
