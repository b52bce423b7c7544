// Web IDL conversions as tables. https://webidl.spec.whatwg.org/#js-type-mapping

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';

const webidl = createRequire(import.meta.url)('../../dist/webidl.js');

const REFUSED = Symbol('refused');

function converts(name, converter, table) {
  test(name, () => {
    for (const [value, expected] of table) {
      const label = `${name} of ${typeof value === 'symbol' ? 'a symbol' : String(value)}`;
      if (expected === REFUSED) assert.throws(() => converter(value, 'x'), TypeError, label);
      else assert.deepEqual(converter(value, 'x'), expected, label);
    }
  });
}

converts('unsigned short wraps', webidl.unsignedShort(), [
  [0, 0],
  [65_535, 65_535],
  [65_536, 0],
  [-1, 65_535],
  [1.9, 1],
  [-1.9, 65_535],
  ['12', 12],
  [undefined, 0],
  [Number.NaN, 0],
  [Infinity, 0],
  [10n, REFUSED],
  [Symbol('s'), REFUSED],
]);

converts('[EnforceRange] unsigned short', webidl.unsignedShort('enforceRange'), [
  [65_535, 65_535],
  [65_536, REFUSED],
  [-1, REFUSED],
  [-0.5, 0],
  [Number.NaN, REFUSED],
  [Infinity, REFUSED],
]);

converts('[Clamp] unsigned short', webidl.unsignedShort('clamp'), [
  [70_000, 65_535],
  [-5, 0],
  [0.5, 0],
  [1.5, 2],
  [2.5, 2],
  [Number.NaN, 0],
]);

converts('long wraps with a sign', webidl.long(), [
  [2 ** 31, -(2 ** 31)],
  [-(2 ** 31) - 1, 2 ** 31 - 1],
]);

converts('unsigned long long', webidl.unsignedLongLong(), [
  [2 ** 53, 2 ** 53],
  [2 ** 64, 0],
]);

converts('double', webidl.double, [
  [1.5, 1.5],
  [Infinity, REFUSED],
  [Number.NaN, REFUSED],
]);

converts('USVString', webidl.USVString, [
  ['a\ud800b', 'a\ufffdb'],
  [null, 'null'],
  [Symbol('s'), REFUSED],
]);

converts('ByteString', webidl.ByteString, [
  ['\u00ff', '\u00ff'],
  ['\u0100', REFUSED],
]);

converts('sequence<DOMString>', webidl.sequence(webidl.DOMString), [
  [
    ['a', 1],
    ['a', '1'],
  ],
  [new Set(['x']), ['x']],
  ['abc', REFUSED],
  [{}, REFUSED],
  [null, REFUSED],
]);

converts('enumeration', webidl.enumeration('Kind', ['one', 'two']), [
  ['one', 'one'],
  ['three', REFUSED],
]);

const dictionary = webidl.dictionary('Options', {
  flag: { type: webidl.boolean, default: () => false },
  name: { type: webidl.DOMString, required: true },
  rest: { type: webidl.octet() },
});

converts('dictionary', dictionary, [
  [{ name: 'n' }, { flag: false, name: 'n' }],
  [
    { flag: 1, name: 2, rest: 300 },
    { flag: true, name: '2', rest: 44 },
  ],
  [{ name: undefined }, REFUSED],
  [undefined, REFUSED],
  ['text', REFUSED],
]);

test('a dictionary reads its members in the order of their declaration', () => {
  const read = [];
  const value = new Proxy(
    { name: 'n' },
    {
      get(target, key) {
        read.push(key);
        return target[key];
      },
    },
  );
  dictionary(value, 'x');
  assert.deepEqual(read, ['flag', 'name', 'rest']);
});

test('BufferSource takes views and buffers of any realm, and refuses shared and resizable memory', () => {
  const view = new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2);
  assert.deepEqual([...webidl.BufferSource(view, 'x')], [2, 3]);
  assert.equal(webidl.BufferSource(runInNewContext('new ArrayBuffer(3)'), 'x').byteLength, 3);
  assert.equal(webidl.BufferSource(runInNewContext('new Uint16Array(3)'), 'x').byteLength, 6);
  const detached = new ArrayBuffer(8);
  structuredClone(detached, { transfer: [detached] });
  assert.equal(webidl.BufferSource(detached, 'x').byteLength, 0);
  for (const refused of [
    new SharedArrayBuffer(4),
    new Uint8Array(new SharedArrayBuffer(4)),
    new ArrayBuffer(4, { maxByteLength: 8 }),
    new Uint8Array(new ArrayBuffer(4, { maxByteLength: 8 })),
    'text',
    {},
    null,
  ]) {
    assert.throws(() => webidl.BufferSource(refused, 'x'), TypeError);
  }
});

test('defineInterface gives a class the shape of its IDL', () => {
  class Thing {
    get value() {
      return 1;
    }
    close(_code, _reason) {}
    static make() {}
  }
  webidl.defineInterface(Thing, { constants: { OPEN: 1 }, lengths: { close: 0 }, constructorLength: 2 });
  const thing = new Thing();
  assert.deepEqual(
    Object.keys(Object.getOwnPropertyDescriptors(Thing.prototype)).filter((key) =>
      Object.prototype.propertyIsEnumerable.call(Thing.prototype, key),
    ),
    ['value', 'close', 'OPEN'],
  );
  assert.equal(Object.prototype.toString.call(thing), '[object Thing]');
  assert.equal(thing.close.length, 0);
  assert.equal(Thing.length, 2);
  assert.deepEqual(Object.getOwnPropertyDescriptor(Thing, 'OPEN'), {
    value: 1,
    writable: false,
    enumerable: true,
    configurable: false,
  });
});
