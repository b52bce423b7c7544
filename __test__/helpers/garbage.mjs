// The garbage collector, for tests that were started without --expose-gc.

import v8 from 'node:v8';
import vm from 'node:vm';

v8.setFlagsFromString('--expose-gc');
export const gc = vm.runInNewContext('gc');
// For that context only: Node 22 has been seen to fail at giving one to a thread that ends.
v8.setFlagsFromString('--no-expose-gc');

/** Collects what can be collected, some turns long. */
export async function collect() {
  for (let turn = 0; turn < 10; turn += 1) {
    await new Promise(setImmediate);
    gc();
  }
}
