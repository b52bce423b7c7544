// The hub's entry for a part of an object: one half of a stream of a session. Most parts end soon.

import type { Payload } from './payload.js';

/** What events are for. */
export interface Target {
  dispatch(kind: number, a: number, b: number, payload: Payload): void;
}

/** The object that parts belong to. It must not hold what is theirs. */
export interface Whole {
  /** The part has ended, or has been collected. */
  closed(part: Part): void;
}

/** The hub, as parts see it. */
interface Owner {
  forget(part: Part): void;
  /** Calls `close` when the target has been collected. */
  watch(part: Part, target: Target): void;
}

/**
 * A part holds neither itself nor the process, and has no native object of its own. It has no AsyncResource either:
 * no script runs in its events.
 *
 * What has been collected V8 tells only through objects that cost it more, in each collection, than a short stream does
 * otherwise. So a target is held at first. Those that a full collection finds open may be collected by the next.
 */
export class Part {
  readonly id: number;
  readonly whole: Whole;
  /** Where it stands in the whole's list of its parts. */
  index = 0;
  readonly #hub: Owner;
  #strong: Target | undefined;
  /** Not behind the end: garbage collection would have to keep the target if an older part were left that leads to it. */
  #weak: WeakRef<Target> | undefined;
  #isHeld = false;
  #isOpen = true;

  constructor(hub: Owner, id: number, target: Target, whole: Whole) {
    this.#hub = hub;
    this.id = id;
    this.#strong = target;
    this.whole = whole;
  }

  /** Whether `close` must unregister it. */
  get isWatched(): boolean {
    return this.#weak !== undefined;
  }

  /** Keeps the target from being collected: a script may still hear from it. */
  hold(): void {
    this.#isHeld = true;
    if (this.#isOpen) this.#strong ??= this.#weak?.deref();
  }

  /** Lets the target be collected, which closes this. */
  letGo(): void {
    this.#isHeld = false;
    if (this.#weak !== undefined) this.#strong = undefined;
  }

  /** A full collection has found it open. */
  age(): void {
    const target = this.#strong;
    if (this.#weak !== undefined || target === undefined) return;
    this.#weak = new WeakRef(target);
    this.#hub.watch(this, target);
    if (!this.#isHeld) this.#strong = undefined;
  }

  /** Nothing more comes. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#hub.forget(this);
    this.#strong = undefined;
    this.#weak = undefined;
    this.whole.closed(this);
  }

  deliver(kind: number, a: number, b: number, payload: Payload): void {
    const target = this.#strong ?? this.#weak?.deref();
    target?.dispatch(kind, a, b, payload);
  }
}
