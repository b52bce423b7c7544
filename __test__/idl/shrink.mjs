// Takes what exists by now out of missing.json. It never adds: a member that was there must stay.
// usage: node __test__/idl/shrink.mjs

import { readFileSync, writeFileSync } from 'node:fs';
import webwire from '../../index.js';
import { interfaces } from './interfaces.mjs';
import { exists } from './shape.mjs';

const file = new URL('missing.json', import.meta.url);
const list = JSON.parse(readFileSync(file, 'utf8'));
const all = await interfaces();
for (const [name, members] of Object.entries(list)) {
  list[name] = members.filter((member) => !exists(webwire[name], all.get(name), member));
  if (list[name].length === 0) delete list[name];
}
const lines = Object.entries(list).map(([name, members]) => `  "${name}": ${JSON.stringify(members)}`);
writeFileSync(file, `{\n${lines.join(',\n')}\n}\n`);
