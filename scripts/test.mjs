// npm test: all tests that need nothing but Node, Rust and npm packages. File names as arguments choose some of them.
// The lifetime tests also run on the binaries that WEBWIRE_NODES lists; when it is not set, on Node 20 and 26 from npm.

import { delimiter, sep } from 'node:path';
import { installNodes } from './nodes.mjs';
import { setUp } from './setup.mjs';
import { runSuite, testFiles } from './suite.mjs';

/** Of the interop tests, those whose counterparts come from npm. */
const INTEROP = `interop${sep}packages.test.mjs`;

setUp();
const chosen = process.argv.slice(2).filter((option) => !option.startsWith('--'));
const all = testFiles('__test__').filter((file) => !file.includes(`interop${sep}`) || file.endsWith(INTEROP));
const files = chosen.length > 0 ? chosen : all;
if (files.some((file) => file.includes('lifetimes'))) {
  process.env.WEBWIRE_NODES ??= installNodes(['20', '26']).filter(Boolean).join(delimiter);
}
runSuite('npm test', files);
