// The classes that the .d.ts files declare are the classes that the package has, member by member.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import webwire from '../../index.js';

/** Reads `export class` declarations: name → names of members, static ones as `static name`. */
function declarations(text) {
  const classes = new Map();
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  for (const [, name, body] of code.matchAll(/^export class (\w+)[\s\S]*?\{\n( {2}[\s\S]*?)?^\}/gm)) {
    const members = new Set();
    for (const [, isStatic, member] of (body ?? '').matchAll(
      /^ {2}(static )?(?:private )?(?:readonly )?(?:[gs]et )?(\w+)\??[(:]/gm,
    )) {
      if (member !== 'constructor') members.add(isStatic ? `static ${member}` : member);
    }
    classes.set(name, [...members].sort());
  }
  return classes;
}

/** The same of a class that exists. */
function members(Class) {
  const own = Object.getOwnPropertyNames(Class.prototype).filter((name) => name !== 'constructor');
  const fixed = ['length', 'name', 'prototype'];
  const statics = Object.getOwnPropertyNames(Class).filter((name) => !fixed.includes(name));
  return [...own, ...statics.map((name) => `static ${name}`)].sort();
}

const declared = new Map();
for (const file of ['websocket', 'webtransport', 'webrtc']) {
  const text = readFileSync(new URL(`../../${file}.d.ts`, import.meta.url), 'utf8');
  for (const [name, list] of declarations(text)) declared.set(name, list);
}

test('every class is declared, and every declared class exists', () => {
  const existing = Object.keys(webwire).filter((name) => /^[A-Z]/.test(name));
  assert.deepEqual([...declared.keys()].sort(), existing.sort());
});

for (const [name, list] of declared) {
  test(`${name} has the members that are declared`, () => {
    assert.ok(webwire[name], `${name} does not exist`);
    assert.deepEqual(list, members(webwire[name]));
  });
}
