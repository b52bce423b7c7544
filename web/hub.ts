// The door to the network: takes batches of events from the native core, hands them to their objects in order, and
// keeps the process alive while an object that wants it is open. One for each loaded copy of the package.

import { AsyncResource } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';
import { setInterval as setRealInterval } from 'node:timers';
import { native } from './binding.js';
import { Entries } from './entries.js';
import { Part, type Target, type Whole } from './part.js';
import { BESIDE, type Beside, Payload } from './payload.js';

interface NativeHub extends Beside {
  drain(words: Uint8Array, bytes: Uint8Array): number;
  again(): void;
  panicAtNextEvent(id: number): void;
}

const { Hub: NativeHub } = native<{ Hub: new (wake: () => void) => NativeHub }>();

/** Layout of a record; the same numbers stand in `src/hub.rs`. */
const RECORD_WORDS = 5;
const KIND = 0xffff;

const RECORDS_A_BATCH = 4096;
/** After this long the rest of the work waits for timers and other sources to have had their turn. */
const TURN_MS = 8;
/** How many records pass between two looks at the clock. */
const RECORDS_A_LOOK = 64;
const { nextTick } = process;
const MAX_TIMER_MS = 0x7fffffff;

/**
 * Drains microtasks and `process.nextTick`, as between any two tasks of an event loop. Node offers it under this old name
 * only; where a host hides it, the events of one batch share a task.
 */
const checkpoint: () => void = (process as unknown as { _tickCallback?: () => void })._tickCallback ?? (() => {});

/** What an object does with an event of its native half. */
export type Dispatch<Target> = (target: Target, kind: number, a: number, b: number, payload: Payload) => void;

/** An object's entry in the hub, from its making to its terminal event. */
export class Registration {
  readonly id: number;
  /** Not behind the end: garbage collection would have to keep the object if an older entry were left that leads here. */
  #weak: WeakRef<object> | undefined;
  #strong: object | undefined;
  readonly #dispatch: Dispatch<never>;
  readonly #hub: Hub;
  /** Keeps the stores of AsyncLocalStorage that were active where the object was made; they are so in its events. */
  readonly #context = new AsyncResource('webwire');
  #wantsLife = true;
  #open = true;

  constructor(owner: Hub, id: number, target: object, dispatch: Dispatch<never>) {
    this.#hub = owner;
    this.id = id;
    this.#weak = new WeakRef(target);
    this.#dispatch = dispatch;
    this.#strong = target;
    owner.countLife(1);
  }

  /** Keeps the object from being collected: a script may still hear from it. */
  hold(): void {
    if (this.#open) this.#strong = this.#weak?.deref();
  }

  /** Lets the object be collected, which closes its connection. Its native half then ends and says so. */
  letGo(): void {
    this.#strong = undefined;
  }

  /** Keeps the process alive while the object is open (the default). */
  ref(): void {
    if (this.#open && !this.#wantsLife) this.#hub.countLife(1);
    this.#wantsLife = true;
  }

  /** Lets the process end although the object is open. */
  unref(): void {
    if (this.#open && this.#wantsLife) this.#hub.countLife(-1);
    this.#wantsLife = false;
  }

  /** After the terminal event: nothing more comes, nothing keeps the process. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#strong = undefined;
    this.#weak = undefined;
    if (this.#wantsLife) this.#hub.countLife(-1);
    this.#hub.forget(this);
  }

  /** Runs what is no event of the native half where such events run. */
  run(work: () => void): void {
    this.#context.runInAsyncScope(work);
  }

  deliver(kind: number, a: number, b: number, payload: Payload): void {
    const target = this.#strong ?? this.#weak?.deref();
    if (target !== undefined) {
      this.#context.runInAsyncScope(this.#dispatch as Dispatch<object>, undefined, target, kind, a, b, payload);
    }
  }
}

class Hub {
  #native: NativeHub | undefined;
  readonly #entries = new Entries<Registration | Part>();
  readonly #collected = new FinalizationRegistry<Registration | Part>((entry) => entry.close());
  /** Tells of a full garbage collection. */
  readonly #collections = new FinalizationRegistry<undefined>(() => this.#age());
  #awaitsCollection = false;
  readonly #payload = new Payload();
  readonly #words = new Uint32Array(RECORDS_A_BATCH * RECORD_WORDS);
  readonly #wordBytes = new Uint8Array(this.#words.buffer);
  #keepAlive: NodeJS.Timeout | undefined;
  #alive = 0;
  #at = 0;
  #count = 0;
  #offset = 0;
  #dispatching = false;
  /** The number of the task that is running, as far as the hub can tell tasks apart: each event is one. */
  task = 0;
  #late: (() => void)[] = [];

  /** What native constructors take as their first argument. */
  get native(): NativeHub {
    this.#native ??= new NativeHub(() => this.#turn());
    return this.#native;
  }

  /** Enters an object; `dispatch` gets its events. The object is held until `letGo` or `close`. */
  register<Target extends object>(target: Target, dispatch: Dispatch<Target>): Registration {
    const registration = new Registration(this, this.#entries.nextId(), target, dispatch as Dispatch<never>);
    this.#entries.add(registration);
    this.#collected.register(target, registration, registration);
    return registration;
  }

  /** A number for `registerPart`, which the native core may be told first. */
  nextId(): number {
    return this.#entries.nextId();
  }

  /** Enters a part of an object that is entered: a stream of a session. */
  registerPart(id: number, target: Target, whole: Whole): Part {
    const part = new Part(this, id, target, whole);
    this.#entries.add(part);
    if (!this.#awaitsCollection) this.#awaitCollection();
    return part;
  }

  watch(part: Part, target: Target): void {
    this.#collected.register(target, part, part);
  }

  #awaitCollection(): void {
    this.#awaitsCollection = true;
    this.#collections.register({}, undefined);
  }

  #age(): void {
    this.#awaitsCollection = false;
    for (const entry of this.#entries) if (entry instanceof Part) entry.age();
  }

  forget(entry: Registration | Part): void {
    this.#entries.delete(entry);
    if (entry instanceof Registration || entry.isWatched) this.#collected.unregister(entry);
  }

  /** Counts the open objects that keep the process alive. */
  countLife(change: 1 | -1): void {
    this.#alive += change;
    this.#keepAlive ??= setRealInterval(() => {}, MAX_TIMER_MS);
    if (this.#alive > 0) this.#keepAlive.ref();
    else this.#keepAlive.unref();
  }

  /**
   * Runs `work` once, when the events at hand are dispatched or, outside of a dispatch, when the running script is done:
   * for what many small calls want to hand down together.
   */
  afterwards(work: () => void): void {
    this.#late.push(work);
    if (!this.#dispatching && this.#late.length === 1) nextTick(() => this.#runLate());
  }

  #runLate(): void {
    const late = this.#late;
    if (late.length === 0) return;
    this.#late = [];
    for (const work of late) work();
  }

  /** One turn: events until none is left or the time is up. */
  #turn(): void {
    this.#dispatching = true;
    try {
      this.#dispatchAll();
    } finally {
      this.#dispatching = false;
      this.#runLate();
      this.task += 1;
    }
  }

  #dispatchAll(): void {
    const source = this.native;
    const until = performance.now() + TURN_MS;
    let records = 0;
    try {
      for (;;) {
        if (this.#at === this.#count) {
          this.#at = 0;
          this.#offset = 0;
          this.#payload.end();
          // A thread that is being terminated may get no number: then nothing more is to be done either.
          this.#count = source.drain(this.#wordBytes, this.#payload.pool) || 0;
          if (this.#count === 0) return;
        }
        while (this.#at < this.#count) {
          // Before the first one as well: what a task left to do that ended with an exception would come later.
          checkpoint();
          this.task += 1;
          if (records > 0 && records % RECORDS_A_LOOK === 0 && performance.now() > until) {
            source.again();
            return;
          }
          records += 1;
          this.#deliver(source);
        }
      }
    } catch (error) {
      // A listener's exception, on its way to `uncaughtException`: the events behind it still come.
      source.again();
      throw error;
    }
  }

  #deliver(source: NativeHub): void {
    const words = this.#words;
    const at = this.#at * RECORD_WORDS;
    const id = words[at] as number;
    const flags = words[at + 1] as number;
    const length = words[at + 4] as number;
    const payload = this.#payload;
    payload.next(source, this.#offset, length, flags);
    this.#at += 1;
    if ((flags & BESIDE) === 0) this.#offset += length;
    this.#entries.get(id)?.deliver(flags & KIND, words[at + 2] as number, words[at + 3] as number, payload);
  }
}

/** The hub of this copy of the package. */
export const hub = new Hub();

/** Promises that wait for an answer of the network, settled by id in the order of the events. */
export class Operations {
  readonly #pending = new Map<number, { resolve: (value: never) => void; reject: (reason: unknown) => void }>();
  #lastId = 0;

  start<Value>(): { id: number; promise: Promise<Value> } {
    this.#lastId += 1;
    const id = this.#lastId;
    const promise = new Promise<Value>((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (value: never) => void, reject });
    });
    return { id, promise };
  }

  resolve(id: number, value?: unknown): void {
    this.#take(id)?.resolve(value as never);
  }

  reject(id: number, reason: unknown): void {
    this.#take(id)?.reject(reason);
  }

  rejectAll(reason: unknown): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(reason);
  }

  #take(id: number): { resolve: (value: never) => void; reject: (reason: unknown) => void } | undefined {
    const operation = this.#pending.get(id);
    this.#pending.delete(id);
    return operation;
  }
}
