// npm run typecheck: the web layer, and index.d.ts with and without lib.dom.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setUp } from './setup.mjs';
import { bin, root, run, say } from './tasks.mjs';

setUp();
run(bin('tsc'), ['-p', 'tsconfig.json', '--noEmit']);
const types = join(root, '__test__', 'types');
for (const name of existsSync(types) ? readdirSync(types).sort() : []) {
  if (!/^tsconfig.*\.json$/.test(name)) continue;
  say(`types: ${name}`);
  run(bin('tsc'), ['-p', join(types, name)]);
}
