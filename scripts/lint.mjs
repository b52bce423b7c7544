// npm run lint: formatters and linters of both languages.

import { setUp } from './setup.mjs';
import { bin, run, say } from './tasks.mjs';

setUp();
say('rustfmt');
run('cargo', ['fmt', '--check']);
say('clippy');
run('cargo', ['clippy', '--locked', '--all-targets', '--', '-D', 'warnings']);
say('biome');
run(bin('biome'), ['check', '--error-on-warnings', '.']);
