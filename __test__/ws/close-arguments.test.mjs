// What `close()` of `webwire/ws` takes as a code and a reason, as that of `ws` itself.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { ours, serve, theirs } from '../helpers/ws.mjs';

/** The peer's code and reason of a socket of `implementation` that has been closed so; or the name of what was thrown. */
async function closing(t, { WebSocket }, args) {
  const { server, url } = await serve(t, theirs);
  const connected = once(server, 'connection');
  const socket = new WebSocket(url);
  await once(socket, 'open');
  const [peer] = await connected;
  const closed = once(peer, 'close');
  try {
    socket.close(...args);
  } catch (error) {
    assert.equal(socket.readyState, WebSocket.OPEN);
    socket.terminate();
    await closed;
    return error.name;
  }
  assert.equal(socket.readyState, WebSocket.CLOSING);
  // Once more changes nothing, whatever it says.
  socket.close('x', {});
  const [code, reason] = await closed;
  return [code, String(reason)];
}

const long = 'x'.repeat(124);
const umlauts = 'ä'.repeat(61);

for (const [what, args, expected] of [
  ['nothing', [], [1005, '']],
  ['no code', [undefined, 'why'], [1005, '']],
  ['no code, and a reason that is too long', [undefined, long], [1005, '']],
  ['no code, and a number', [undefined, 5], [1005, '']],
  ['a code', [1000], [1000, '']],
  ['a code of text', ['1000'], 'TypeError'],
  ['null', [null], 'TypeError'],
  ['a code that is none', [1005, long], 'TypeError'],
  ['a reason', [4000, 'why'], [4000, 'why']],
  ['a number', [1000, 124], [1000, '']],
  ['true', [1000, true], [1000, '']],
  ['an object', [1000, {}], [1000, '']],
  ['an empty array', [1000, []], [1000, '']],
  ['an empty text', [1000, ''], [1000, '']],
  ['a reason that is null', [1000, null], 'TypeError'],
  ['an array', [1000, [65, 66]], 'TypeError'],
  ['an object with a length', [1000, { length: 2 }], 'TypeError'],
  ['a function', [1000, (_one) => {}], 'TypeError'],
  ['bytes', [1000, Buffer.from('päck')], [1000, 'päck']],
  ['a view of some', [1000, new Uint8Array(Buffer.from('..why..')).subarray(2, 5)], [1000, 'why']],
  ['no bytes', [1000, new Uint8Array(0)], [1000, '']],
  ['other numbers', [1000, new Float64Array(2)], 'TypeError'],
  ['an ArrayBuffer, which has no length', [1000, new ArrayBuffer(8)], [1000, '']],
  ['123 bytes', [1000, `${umlauts}x`], [1000, `${umlauts}x`]],
  ['124 bytes of text', [1000, `${umlauts}xx`], 'RangeError'],
  ['124 bytes', [1000, Buffer.alloc(124, 'x')], 'RangeError'],
  ['124 characters', [1000, long], 'RangeError'],
  ['half a character', [1000, '\ud800'], [1000, '\ufffd']],
]) {
  test(`close() with ${what}`, async (t) => {
    for (const implementation of [ours, theirs]) assert.deepEqual(await closing(t, implementation, args), expected);
  });
}

test('a reason that is no UTF-8 is sent as far as it is some', async (t) => {
  assert.deepEqual(await closing(t, ours, [1000, Buffer.from([0x61, 0xff])]), [1000, 'a\ufffd']);
  assert.deepEqual(await closing(t, ours, [1000, Buffer.alloc(123, 0xff)]), [1000, '\ufffd'.repeat(41)]);
});

test('before it is open nothing of it is looked at', async (t) => {
  const { url } = await serve(t, theirs);
  for (const { WebSocket } of [ours, theirs]) {
    const socket = new WebSocket(url);
    const failed = once(socket, 'error');
    socket.close('x', null);
    assert.match((await failed)[0].message, /before the connection was established/);
  }
});
