// DOM events for our classes: the realm's EventTarget and Event, event handler attributes, and word of listeners that
// come and go, on which garbage collection depends. https://dom.spec.whatwg.org/#interface-eventtarget

const { EventTarget: RealmEventTarget, Event: RealmEvent } = globalThis;

export { RealmEvent as Event, RealmEventTarget as EventTarget };

/** Of an event that no script has made. https://dom.spec.whatwg.org/#dom-event-istrusted */
const isTrusted: PropertyDescriptor = { get: () => true, enumerable: true };

/** Makes an event the network's own word, for a script to see. */
export function trusted<Type extends Event>(event: Type): Type {
  return Object.defineProperty(event, 'isTrusted', isTrusted);
}

type EventHandler = (this: object, event: Event) => unknown;
type Handler = EventHandler | object | null;

interface Slot {
  handler: Handler;
  readonly listener: (this: object, event: Event) => void;
}

const slots = new WeakMap<object, Map<string, Slot>>();

function slotOf(target: object, type: string): Slot {
  let ofTarget = slots.get(target);
  if (ofTarget === undefined) {
    ofTarget = new Map();
    slots.set(target, ofTarget);
  }
  let slot = ofTarget.get(type);
  if (slot === undefined) {
    const made: Slot = {
      handler: null,
      listener(event) {
        // The event handler processing algorithm: https://html.spec.whatwg.org/#the-event-handler-processing-algorithm
        const handler = made.handler;
        if (typeof handler === 'function' && (handler as EventHandler).call(this, event) === false)
          event.preventDefault();
      },
    };
    slot = made;
    ofTarget.set(type, slot);
  }
  return slot;
}

/**
 * Gives a class the event handler attributes `on…` of these event types; `isOne` tells its objects from others.
 * https://html.spec.whatwg.org/#event-handler-idl-attributes
 */
export function defineEventHandlers(
  Class: { prototype: EventTarget; readonly name: string },
  types: readonly string[],
  isOne: (value: object) => boolean,
): void {
  const brand = (value: object) => {
    if (!isOne(value)) throw new TypeError(`Illegal invocation: not a ${Class.name}`);
  };
  for (const type of types) {
    const name = `on${type}`;
    const attribute = {
      get [name](): Handler {
        brand(this);
        return slots.get(this)?.get(type)?.handler ?? null;
      },
      set [name](value: Handler) {
        brand(this);
        const slot = slotOf(this, type);
        const before = slot.handler;
        slot.handler = typeof value === 'function' || (typeof value === 'object' && value !== null) ? value : null;
        if (before === null && slot.handler !== null) {
          RealmEventTarget.prototype.addEventListener.call(this, type, slot.listener);
        } else if (before !== null && slot.handler === null) {
          RealmEventTarget.prototype.removeEventListener.call(this, type, slot.listener);
        }
      },
    };
    const descriptor = Object.getOwnPropertyDescriptor(attribute, name);
    if (descriptor !== undefined) Object.defineProperty(Class.prototype, name, descriptor);
  }
}

function internal(description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(RealmEventTarget.prototype).find((symbol) => symbol.description === description);
}

const newListener = internal('kNewListener');
const removeListener = internal('kRemoveListener');

/**
 * Calls `changed(target, type, count)` when an object of the class has got or lost a listener, by whatever way (`once`
 * and `signal` too). Node's EventTarget tells its subclasses so through two internal symbols; where a realm's EventTarget
 * has none (another implementation), this returns false and the caller has to assume that there are listeners.
 */
export function onListenersChanged<Target extends EventTarget>(
  Class: { prototype: Target },
  changed: (target: Target, type: string, count: number) => void,
): boolean {
  if (newListener === undefined || removeListener === undefined) return false;
  for (const symbol of [newListener, removeListener]) {
    const original = (RealmEventTarget.prototype as unknown as Record<symbol, (...args: unknown[]) => unknown>)[symbol];
    Object.defineProperty(Class.prototype, symbol, {
      configurable: true,
      writable: true,
      value(this: Target, size: number, type: string, ...rest: unknown[]) {
        const result = original?.call(this, size, type, ...rest);
        changed(this, type, size);
        return result;
      },
    });
  }
  return true;
}
