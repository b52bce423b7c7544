// npm run bench: webwire beside its peers in one run; see bench/run.mjs for the options.

import { setUp } from './setup.mjs';
import { run } from './tasks.mjs';

setUp();
run(process.execPath, ['bench/run.mjs', ...process.argv.slice(2)]);
