// The garbage collector, for tests that were started without --expose-gc.

import v8 from 'node:v8';
import vm from 'node:vm';

v8.setFlagsFromString('--expose-gc');
export const gc = vm.runInNewContext('gc');

/** Collects what can be collected, some turns long. */
export async function collect() {
  for (let turn = 0; turn < 10; turn += 1) {
    await new Promise(setImmediate);
    gc();
  }
}
