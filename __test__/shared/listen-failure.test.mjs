// A server that cannot listen, and whose `ready` nobody looks at.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { createCertificate } from '../helpers/certificate.mjs';

const { cert, key } = createCertificate();

/** Runs a script that has the options of such a server: its exit code, and what it says of errors. */
function run(name, then) {
  // An address that is nobody's: RFC 5737.
  const options = JSON.stringify({ host: '192.0.2.1', port: 0, cert, key });
  const script = `const server = new (require('./index.js')).${name}(${options}); ${then}`;
  const cwd = new URL('../..', import.meta.url);
  return new Promise((resolve) => {
    execFile(process.execPath, ['-e', script], { cwd }, (error, _output, said) => {
      resolve({ code: error === null ? 0 : error.code, said });
    });
  });
}

for (const name of ['WebSocketServer', 'WebTransportServer']) {
  test(`a ${name} that cannot listen ends the process, unless somebody looks`, async () => {
    const unheard = await run(name, '');
    assert.equal(unheard.code, 1);
    assert.match(unheard.said, /EADDRNOTAVAIL/);
    assert.deepEqual(await run(name, 'server.ready.catch(() => {});'), { code: 0, said: '' });
  });

  test(`a ${name} that is closed before it listens does not`, async () => {
    assert.deepEqual(await run(name, 'server.close();'), { code: 0, said: '' });
  });
}
