// npm run autobahn: the Autobahn test suite against WebSocket and WebSocketServer, where AUTOBAHN is set to a runner:
// a program that takes `client MODULE` and `server MODULE`, the groups of cases, and prints a table that ends with the sums
// OK, NON-STRICT, INFORMATIONAL, UNIMPLEMENTED, FAILED.
//
//   --cases 1.*,10.*   all by default
//   --pieces           through a proxy that cuts TCP into pieces of 1 to 7 bytes
//
// Everything but OK and INFORMATIONAL is a failure.

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { setUp } from './setup.mjs';
import { root, say } from './tasks.mjs';

const { values } = parseArgs({
  options: { cases: { type: 'string', default: '*' }, pieces: { type: 'boolean', default: false } },
});
const runner = process.env.AUTOBAHN;
if (!runner) {
  say('AUTOBAHN is not set: it is the runner of the suite');
  process.exit(1);
}

setUp();
for (const end of ['client', 'server']) {
  const args = [
    end,
    `__test__/autobahn/${end}${values.pieces ? '-in-pieces' : ''}.mjs`,
    '--agent',
    `webwire-${end}`,
    '--list',
    '--cases',
    values.cases,
  ];
  const { stdout, error } = spawnSync(runner, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.stdout.write(stdout ?? '');
  const sums = /^all\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$/m
    .exec(stdout ?? '')
    ?.slice(1)
    .map(Number);
  const [cases = 0, ok = 0, , informational = 0] = sums ?? [];
  const passed = ok + informational;
  // A run that came to nothing is a failure.
  const failed = sums === undefined || cases === 0 ? 1 : cases - passed;
  if (error) say(error.message);
  say(`autobahn ${end}: ${passed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}
