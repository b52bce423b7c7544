// "Queue a task" of the networking task source, for what a connection does by itself.
// https://html.spec.whatwg.org/#queue-a-task

import { setImmediate as setRealImmediate } from 'node:timers';

/** Runs `steps` in a task of its own, after the microtasks of the present one. */
export function queueTask(steps: () => void): void {
  setRealImmediate(steps);
}

/** Illegal constructors open with this key; no script can get it. */
export const KEY = Symbol('webwire');
