// Which objects a script may still hear from, and which therefore must not be collected.
// https://w3c.github.io/webrtc-pc/#garbage-collection

import { onListenersChanged } from '../event-target.js';

const counts = new WeakMap<object, Map<string, number>>();
const watchers = new WeakMap<object, () => void>();
/** Classes whose listeners are counted; of the others there may always be some. */
const counted = new WeakSet<object>();

/** Counts the listeners that the objects of a class have. */
export function countListeners(Class: { prototype: EventTarget }): void {
  const isCounted = onListenersChanged(Class, (target, type, count) => {
    let ofTarget = counts.get(target);
    if (ofTarget === undefined) {
      ofTarget = new Map();
      counts.set(target, ofTarget);
    }
    ofTarget.set(type, count);
    watchers.get(target)?.();
  });
  if (isCounted) counted.add(Class.prototype);
}

/** Whether someone listens to one of these events. */
export function isListenedTo(target: EventTarget, types: readonly string[]): boolean {
  if (!counted.has(Object.getPrototypeOf(target)) && !isOfCountedClass(target)) return true;
  const ofTarget = counts.get(target);
  return ofTarget !== undefined && types.some((type) => (ofTarget.get(type) ?? 0) > 0);
}

function isOfCountedClass(target: object): boolean {
  for (let at = Object.getPrototypeOf(target); at !== null; at = Object.getPrototypeOf(at)) {
    if (counted.has(at)) return true;
  }
  return false;
}

/** Calls `changed` when the object has got or lost a listener. */
export function watchListeners(target: EventTarget, changed: () => void): void {
  watchers.set(target, changed);
}
