// What `send()`, `ping()` and `pong()` of `webwire/ws` take as data, as those of `ws` itself.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { ours, serve, theirs } from '../helpers/ws.mjs';

const text = { valueOf: () => 'päck' };
const VALUES = [
  ['undefined', undefined],
  ['null', null],
  ['false', false],
  ['true', true],
  ['an empty text', ''],
  ['text', 'päck'],
  ['0', 0],
  ['a number', -1.5],
  ['NaN', Number.NaN],
  ['a bigint', 5n],
  ['0 as a bigint', 0n],
  ['a symbol', Symbol('s')],
  ['an object', {}],
  ['a function', () => {}],
  ['an object of text', text],
  ['an object of bytes', { valueOf: () => new Uint8Array([1, 2]) }],
  ['an array', [1, 2, 300]],
  ['an empty array', []],
  ['an array of texts', ['1', 'x']],
  ['an object with data', { type: 'Buffer', data: [1, 2] }],
  ['an array-like object', { length: 2, 0: 7, 1: 8 }],
  ['a Buffer', Buffer.from([1, 2])],
  ['no bytes', new Uint8Array(0)],
  ['a view', new Uint8Array([1, 2, 3, 4]).subarray(1, 3)],
  ['wide numbers', new Uint16Array([1, 2])],
  ['a DataView', new DataView(new ArrayBuffer(6), 1, 3)],
  ['an ArrayBuffer', new Uint8Array([1, 2]).buffer],
  ['a String object', Object('päck')],
  ['a Number object', Object(5)],
  ['a Date', new Date(0)],
];

/** What the peer hears of this call, or the name of what it throws. */
async function heard({ socket, peer }, method, args) {
  const type = { send: 'message', ping: 'ping', pong: 'pong' }[method];
  const event = once(peer, type);
  try {
    socket[method](...args);
  } catch (error) {
    // What comes next is heard in its place.
    socket[method]('end');
    await event;
    return error.name;
  }
  return await event;
}

/** A client of each implementation, both with a peer of `ws`. */
async function ends(t) {
  const { server, url } = await serve(t, theirs, { autoPong: false });
  const made = [];
  for (const { WebSocket } of [ours, theirs]) {
    const connected = once(server, 'connection');
    const socket = new WebSocket(url, { autoPong: false });
    const [[peer]] = await Promise.all([connected, once(socket, 'open')]);
    made.push({ socket, peer });
  }
  return made;
}

for (const method of ['send', 'ping', 'pong']) {
  test(`${method}() takes the same`, async (t) => {
    const [mine, other] = await ends(t);
    for (const [what, value] of VALUES) {
      // A function is the callback of a ping.
      if (typeof value === 'function' && method !== 'send') continue;
      assert.deepEqual(await heard(mine, method, [value]), await heard(other, method, [value]), what);
      if (method !== 'send') continue;
      for (const options of [{ binary: true }, { binary: false }, {}, undefined, null]) {
        const args = [value, options];
        const message = `${what} ${JSON.stringify(options)}`;
        assert.deepEqual(await heard(mine, method, args), await heard(other, method, args), message);
      }
    }
    if (method === 'send') assert.deepEqual(await heard(mine, method, []), await heard(other, method, []));
  });
}

test('send() takes shared memory, and leaves it as it is', async (t) => {
  const [{ socket, peer }] = await ends(t);
  const bytes = new Uint8Array(new SharedArrayBuffer(3)).fill(5);
  assert.deepEqual(await heard({ socket, peer }, 'send', [bytes.buffer]), [Buffer.alloc(3, 5), true]);
  assert.deepEqual([...bytes], [5, 5, 5]);
});

test('a callback that is no function is refused, and others are called once', async (t) => {
  const [{ socket, peer }] = await ends(t);
  const called = [];
  socket.send('a', () => called.push('a'));
  for (const method of ['send', 'ping', 'pong']) {
    for (const wrong of [5, 'x', {}, true]) {
      assert.throws(() => socket[method]('never', undefined, wrong), TypeError, `${method} ${wrong}`);
    }
  }
  // As `ws`, which leaves these out.
  for (const none of [undefined, null, false, 0, '']) socket.send('b', {}, none);
  const messages = [];
  peer.on('message', (data) => messages.push(String(data)));
  peer.on('ping', () => messages.push('ping'));
  await new Promise((resolve) => socket.send('c', {}, resolve));
  const closed = once(peer, 'close');
  socket.close();
  await closed;
  assert.deepEqual([called, messages], [['a'], ['a', 'b', 'b', 'b', 'b', 'b', 'c']]);
});
