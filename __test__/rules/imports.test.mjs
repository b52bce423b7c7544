// "Who may import whom", rules 1 to 3 of docs/architecture.md, read from the `use`, `mod` and `import` lines.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { rustCode, rustPaths, sources, typescriptImports } from './source.mjs';

const APIS = ['websocket', 'webtransport', 'webrtc', 'ws'];

/** Another shape of the same API, in `web/` only. Nothing imports it. */
const STANDS_ON = { ws: 'websocket' };

/** The roots of the two trees: they name every API so that it is built and exported. */
const ENTRIES = ['src/lib.rs', 'web/index.ts'];

/** Bytes, values and instants in, values out. */
const PURE = [
  /\/http3\//,
  /\/jsep\//,
  /\/stack\//,
  /\/http3\.rs$/,
  /\/jsep\.rs$/,
  /\/message\//,
  /\/(message|extensions|head|deflate|closing|candidate|scheduler|http_token)\.rs$/,
];

/** The doors of the API folders: `#[napi]` classes. */
const DOORS = /\/(connection|session|\w+_stream|peer_transport|data_transport|signalling|listener)\.rs$/;

/** The API folder that a file lies in, or none for the shared ones. */
function api(file) {
  const folder = file.split('/')[1]?.replace(/\.(rs|ts)$/, '');
  return APIS.includes(folder) ? folder : undefined;
}

const rust = sources('src', '.rs');
const typescript = sources('web', '.ts');

test('there is something to check', () => {
  assert.ok(rust.length > 0 && typescript.length > 0);
});

test('in src/, the APIs and the shared files do not import another API', () => {
  const found = [];
  for (const { file, text } of rust) {
    if (ENTRIES.includes(file)) continue;
    for (const [first] of rustPaths(file, text)) {
      if (APIS.includes(first) && first !== api(file)) found.push(`${file} names crate::${first}`);
    }
    for (const [, name] of rustCode(text).matchAll(/^\s*(?:pub\S*\s+)?mod\s+(\w+)\s*;/gm)) {
      if (APIS.includes(name)) found.push(`${file} declares mod ${name}`);
    }
  }
  assert.deepEqual(found, []);
});

test('in web/, the APIs and the shared files do not import another API', () => {
  const found = [];
  for (const { file, text } of typescript) {
    if (ENTRIES.includes(file)) continue;
    for (const imported of typescriptImports(file, text)) {
      const own = [api(file), STANDS_ON[api(file)]];
      if (api(imported) && !own.includes(api(imported))) found.push(`${file} imports ${imported}`);
    }
  }
  assert.deepEqual(found, []);
});

test('pure modules know no tokio, no napi and no clock', () => {
  const found = [];
  const forbidden = /\b(tokio|napi|napi_derive|Instant::now|SystemTime|crate::(?:hub|runtime))\b/g;
  for (const { file, text } of rust) {
    // Tests need a first instant.
    if (!PURE.some((pattern) => pattern.test(file)) || /\/tests?(\/|\.rs$)/.test(file)) continue;
    for (const [, name] of rustCode(text).matchAll(forbidden)) found.push(`${file} names ${name}`);
  }
  assert.deepEqual([...new Set(found)], []);
});

test('only doors and shared files name napi', () => {
  const found = rust
    .filter(({ file, text }) => api(file) && !DOORS.test(file) && /\bnapi(_derive)?\b/.test(rustCode(text)))
    .map(({ file }) => file);
  assert.deepEqual(found, []);
});

// An API's native.ts says what its classes see of the native core, and holds nothing else.
test('only class files, native.ts and shared files use the binding', () => {
  const found = typescript
    .filter(({ file, text }) => {
      const uses = typescriptImports(file, text).some((imported) => path.posix.basename(imported) === 'binding');
      return (
        uses &&
        api(file) &&
        path.posix.basename(file) !== 'native.ts' &&
        !/^\s*(?:export\s+)?(?:default\s+)?class\s/m.test(text)
      );
    })
    .map(({ file }) => file);
  assert.deepEqual(found, []);
});

test('the readers of import lines see every way to write one', () => {
  const code = [
    'use crate::websocket::message; // use crate::webrtc;',
    'use crate::{hub::Port, webtransport};',
    'use super::super::webrtc::jsep;',
    'fn f() { super::task::run(crate::error::Error::new()) }',
    '#[cfg(test)]',
    'mod tests { use crate::tls; }',
    '#[cfg(test)]',
    'mod more_tests;',
    'use crate::environment;',
    '#[cfg(test)]',
    '#[allow(dead_code)]',
    'mod last_tests {',
    '    use crate::certificate;',
    '}',
    'use crate::runtime;',
  ].join('\n');
  assert.deepEqual(
    rustPaths('src/websocket/task.rs', code).map((one) => one.join('::')),
    [
      'websocket::message',
      'error::Error::new',
      'environment',
      'runtime',
      'hub::Port',
      'webtransport',
      'webrtc',
      'websocket::task',
    ],
  );
  const script = `import type { A } from '../webrtc/a.js';\nconst b = require("./b");\nimport('./c.ts');`;
  assert.deepEqual(typescriptImports('web/websocket/x.ts', script), [
    'web/webrtc/a',
    'web/websocket/b',
    'web/websocket/c',
  ]);
});
