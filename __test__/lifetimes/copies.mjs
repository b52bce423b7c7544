// Several copies of the package in one process: `require` and `import`, which are one, and one in a vm context, as test
// runners make them.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import vm from 'node:vm';
import imported from '../../index.mjs';
import { openPair } from '../helpers/apis.mjs';

const require = createRequire(import.meta.url);

/** Loads the CommonJS core in a context with globals of its own, as Jest does. */
function loadInContext() {
  const context = vm.createContext({ process, Buffer, console });
  // What a context lacks of Node's globals; those of the language are its own.
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (!(name in context)) {
      Object.defineProperty(context, name, Object.getOwnPropertyDescriptor(globalThis, name));
    }
  }
  const modules = new Map();
  const load = (file) => {
    if (modules.has(file)) return modules.get(file).exports;
    const module = { exports: {} };
    modules.set(file, module);
    const local = createRequire(file);
    const wrapper = vm.runInContext(
      `(function (exports, require, module, __filename, __dirname) {${readFileSync(file)}\n})`,
      context,
    );
    const requireHere = (id) => (id.startsWith('.') && !id.endsWith('.node') ? load(local.resolve(id)) : local(id));
    wrapper(module.exports, Object.assign(requireHere, { resolve: local.resolve }), module, file, path.dirname(file));
    return module.exports;
  };
  return { context, webwire: load(require.resolve('../../index.js')) };
}

export async function checkCopies(api) {
  const required = require('../../index.js');
  for (const [name, value] of Object.entries(required)) {
    assert.equal(imported[name], value, `${name}, required and imported`);
  }
  const { webwire, context } = loadInContext();
  assert.notEqual(webwire.WebSocket, required.WebSocket);
  assert.throws(
    () => new webwire.WebSocket('foo:', {}),
    (error) => error instanceof context.Error || error instanceof DOMException,
  );
  // Both at once, each with both ends of its own.
  const pairs = await Promise.all([openPair(api, required), openPair(api, webwire)]);
  for (const pair of pairs) assert.equal(await pair.connection.echo('text'), 'text');
  for (const pair of pairs) await pair.close();
}
