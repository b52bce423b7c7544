// Every interface of the standards against our classes. missing.json lists what does not exist yet, and may only shrink:
// a member that is neither there nor in the list fails, and so does one that is in both (`npm run idl` takes it out).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import webwire from '../../index.js';
import { interfaces, memberNames } from './interfaces.mjs';
import { differences, exists } from './shape.mjs';

const list = JSON.parse(readFileSync(new URL('missing.json', import.meta.url), 'utf8'));
const all = await interfaces();

for (const [name, definition] of all) {
  test(name, async () => {
    const Class = webwire[name];
    const missing = memberNames(definition).filter((member) => !exists(Class, definition, member));
    assert.deepEqual(missing, list[name] ?? [], `missing.json, ${name}`);
    if (Class) assert.deepEqual(await differences(Class, definition, new Set(missing)), []);
  });
}

test('missing.json names interfaces of the standards only', () => {
  assert.deepEqual(
    Object.keys(list).filter((name) => !all.has(name)),
    [],
  );
});
