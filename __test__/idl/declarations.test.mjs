// Every enumeration and dictionary that a converter of ours declares, against the one of the standards: values, order of
// conversion, required members, defaults. Members that belong to what does not exist yet are listed in absent.json.
// https://webidl.spec.whatwg.org/#idl-dictionaries

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import '../../index.js';
import { declarations } from '../../dist/webidl.js';
import { definitions } from './interfaces.mjs';

const absent = JSON.parse(readFileSync(new URL('absent.json', import.meta.url), 'utf8'));
const all = await definitions();
const byName = (kind) =>
  new Map(all.filter(({ type, partial }) => type === kind && !partial).map((one) => [one.name, one]));
const enumerations = byName('enum');
const dictionaries = byName('dictionary');

for (const [name, declared] of declarations) {
  const enumeration = enumerations.get(name);
  if (enumeration) {
    test(`enum ${name}`, () => {
      const values = enumeration.values.map(({ value }) => value);
      assert.deepEqual([...declared].sort(), values.sort());
    });
  }
  if (!dictionaries.has(name)) continue;
  test(`dictionary ${name}`, () => {
    const members = membersOf(name);
    const lacking = members.filter((member) => !(member.name in declared)).map((member) => member.name);
    assert.deepEqual(lacking, absent[name] ?? [], `absent.json, ${name}`);
    const there = members.filter((member) => member.name in declared);
    const ours = Object.keys(declared).filter((key) => there.some((member) => member.name === key));
    // Members of Node's own may stand between them.
    assert.deepEqual(
      ours,
      there.map((member) => member.name),
      'the order of conversion',
    );
    for (const member of there) {
      const { required = false, default: make } = declared[member.name];
      assert.equal(required, member.required, `${member.name} required`);
      if (member.default === null) assert.equal(make, undefined, `${member.name} has no default`);
      else assert.deepEqual(make?.(), defaultOf(member), `${member.name}'s default`);
    }
  });
}

test('absent.json names dictionaries that are declared', () => {
  assert.deepEqual(
    Object.keys(absent).filter((name) => !declarations.has(name)),
    [],
  );
});

/** In the order of conversion: the parents' first, by name within each. */
function membersOf(name) {
  const { inheritance } = dictionaries.get(name);
  const parts = all.filter((one) => one.type === 'dictionary' && one.name === name);
  const own = parts.flatMap(({ members }) => members).sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...(dictionaries.has(inheritance) ? membersOf(inheritance) : []), ...own];
}

/** The value that a default of the IDL stands for. */
function defaultOf({ default: { type, value, negative } }) {
  switch (type) {
    case 'number':
      return Number(value);
    case 'string':
    case 'boolean':
      return value;
    case 'null':
      return null;
    case 'sequence':
      return [];
    case 'dictionary':
      return {};
    case 'Infinity':
      return negative ? -Infinity : Infinity;
    default:
      assert.fail(`a default of type ${type}`);
  }
}
