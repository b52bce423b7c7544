// WebSocketError. https://whatpr.org/websockets/48.html#the-websocketevent-interface

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocketError } from '../helpers/websocket-ends.mjs';

test('what it says of itself', () => {
  for (const [given, expected] of [
    [[], ['', null, '']],
    [
      [undefined, undefined],
      ['', null, ''],
    ],
    [
      ['text', {}],
      ['text', null, ''],
    ],
    [
      ['text', null],
      ['text', null, ''],
    ],
    [
      [12, { closeCode: '3000' }],
      ['12', 3000, ''],
    ],
    [
      ['', { closeCode: 4999.9, reason: 5 }],
      ['', 4999, '5'],
    ],
    [
      ['', { reason: 'why' }],
      ['', 1000, 'why'],
    ],
    [
      ['', { reason: '' }],
      ['', null, ''],
    ],
    [
      ['', { reason: 'a\ud800' }],
      ['', 1000, 'a\ufffd'],
    ],
    [
      ['', { reason: 'x'.repeat(123) }],
      ['', 1000, 'x'.repeat(123)],
    ],
  ]) {
    const error = new WebSocketError(...given);
    assert.deepEqual([error.message, error.closeCode, error.reason], expected);
    assert.deepEqual([error.name, error.code], ['WebSocketError', 0]);
    assert.ok(error instanceof DOMException && error instanceof Error);
    assert.match(error.stack, /websocket-error\.test/);
  }
});

test('what it refuses', () => {
  for (const closeCode of [0, 999, 1001, 2999, 5000, 65_535]) {
    assert.throws(() => new WebSocketError('', { closeCode }), { name: 'InvalidAccessError' });
  }
  for (const reason of ['x'.repeat(124), '🔌'.repeat(31)]) {
    assert.throws(() => new WebSocketError('', { reason }), { name: 'SyntaxError' });
  }
  for (const init of [1, 'text', { closeCode: -1 }, { closeCode: 65_536 }, { closeCode: 'x' }, { reason: Symbol() }]) {
    assert.throws(() => new WebSocketError('', init), TypeError);
  }
  assert.throws(() => new WebSocketError(Symbol()), TypeError);
  assert.throws(() => WebSocketError(), TypeError);
});
