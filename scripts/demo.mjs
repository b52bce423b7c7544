// npm run demo: a real file over all three APIs; see examples/demo/main.mjs for the options.

import { setUp } from './setup.mjs';
import { run } from './tasks.mjs';

setUp();
run(process.execPath, ['examples/demo/main.mjs', ...process.argv.slice(2)]);
