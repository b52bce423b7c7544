// npm test: all tests that need nothing but Node, Rust and npm packages. File names as arguments choose some of them.

import { sep } from 'node:path';
import { setUp } from './setup.mjs';
import { runSuite, testFiles } from './suite.mjs';

/** Of the interop tests, those whose counterparts come from npm. */
const INTEROP = `interop${sep}packages.test.mjs`;

setUp();
const chosen = process.argv.slice(2).filter((option) => !option.startsWith('--'));
const all = testFiles('__test__').filter((file) => !file.includes(`interop${sep}`) || file.endsWith(INTEROP));
runSuite('npm test', chosen.length > 0 ? chosen : all);
