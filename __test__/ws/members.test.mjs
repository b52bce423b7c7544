// Every public name of `ws` is here, of the same kind, except those that docs/divergence.md says.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { ours, serve, theirs } from '../helpers/ws.mjs';

/** The CommonJS module, which has the rest on the class; an ES module's import of `ws` has not. */
const required = createRequire(import.meta.url)('ws');

/** What a member is: kind, whether it can be written, how many arguments a method has, whether loops over names find it. */
function members(object, ...hidden) {
  const found = {};
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
    if (name.startsWith('_') || hidden.includes(name)) continue;
    const { value, get, set, enumerable } = descriptor;
    // A method of a class is not enumerable, one that was assigned is.
    const listed = typeof value === 'function' && object.prototype === undefined ? undefined : enumerable;
    found[name] = [typeof value, typeof get, typeof set, value?.length, listed].join(' ');
  }
  return found;
}

/** Names that are in `one` and not in `other`. */
const lacking = (one, other) => Object.keys(one).filter((name) => !(name in other));

test('exports', () => {
  assert.deepEqual(
    Object.keys(theirs).filter((name) => !(name in ours)),
    ['PerMessageDeflate', 'Receiver', 'Sender', 'extension', 'subprotocol'],
  );
  assert.deepEqual(
    Object.keys(ours).filter((name) => !(name in theirs) && name !== 'module.exports'),
    [],
  );
  assert.deepEqual(lacking(members(required), members(ours.default)).sort(), [
    'PerMessageDeflate',
    'Receiver',
    'Sender',
    'extension',
    'subprotocol',
  ]);
  assert.equal(ours.createWebSocketStream.length, theirs.createWebSocketStream.length);
});

for (const [title, name, absent] of [
  ['WebSocket', 'WebSocket', ['setSocket', 'emitClose']],
  ['WebSocketServer', 'WebSocketServer', ['completeUpgrade']],
]) {
  test(`members of ${title}`, () => {
    const [mine, other] = [ours[name], theirs[name]];
    assert.equal(mine.length, other.length);
    assert.equal(mine.name, other.name);
    assert.equal(Object.getPrototypeOf(mine), Object.getPrototypeOf(other));
    const [here, there] = [members(mine.prototype, 'constructor'), members(other.prototype, 'constructor', ...absent)];
    assert.deepEqual(here, there);
    assert.ok(absent.every((hidden) => hidden in other.prototype && !(hidden in mine.prototype)));
    for (const constant of ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED']) {
      assert.deepEqual(
        Object.getOwnPropertyDescriptor(mine, constant),
        Object.getOwnPropertyDescriptor(other, constant),
      );
    }
  });
}

test('what a server and its options have', async (t) => {
  const [mine, other] = [await serve(t, ours), await serve(t, theirs)];
  const own = ({ server }) => Object.keys(server).filter((name) => !name.startsWith('_'));
  assert.deepEqual(own(mine).sort(), own(other).sort());
  // Those that have no meaning here.
  assert.deepEqual(lacking(other.server.options, mine.server.options).sort(), [
    'allowSynchronousEvents',
    'closeTimeout',
    'maxBufferedChunks',
    'maxFragments',
    'maxPendingAutoPongs',
    'skipUTF8Validation',
  ]);
  assert.deepEqual(lacking(mine.server.options, other.server.options), ['handshakeTimeout', 'maxPendingHandshakes']);
});

test('what a socket has of its own is private', () => {
  assert.deepEqual(
    Object.keys(new ours.WebSocket(null)).filter((name) => !name.startsWith('_')),
    [],
  );
});
