// npm run idl: takes what exists by now out of __test__/idl/missing.json. It never adds: a member that was there must stay.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setUp } from './setup.mjs';
import { root, say } from './tasks.mjs';

setUp();
const { default: webwire } = await import('../index.js');
const { interfaces } = await import('../__test__/idl/interfaces.mjs');
const { exists } = await import('../__test__/idl/shape.mjs');
const file = join(root, '__test__/idl/missing.json');
const before = readFileSync(file, 'utf8');
const list = JSON.parse(before);
const all = await interfaces();
for (const [name, members] of Object.entries(list)) {
  list[name] = members.filter((member) => !exists(webwire[name], all.get(name), member));
  if (list[name].length === 0) delete list[name];
}
const lines = Object.entries(list).map(([name, members]) => `  "${name}": ${JSON.stringify(members)}`);
const after = `{\n${lines.join(',\n')}\n}\n`;
writeFileSync(file, after);
say(after === before ? 'missing.json: nothing to take out' : 'missing.json has shrunk');
