// A promise with its settling functions.

export interface Deferred<Value> {
  readonly promise: Promise<Value>;
  resolve(value: Value): void;
  reject(reason: unknown): void;
}

/** `Promise.withResolvers`, which Node 20 lacks. */
export function withResolvers<Value>(): Deferred<Value> {
  let resolve!: (value: Value) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<Value>((resolvePromise, rejectPromise) => {
    resolve = resolvePromise;
    reject = rejectPromise;
  });
  return { promise, resolve, reject };
}

/** A promise whose rejection nobody has to look at. */
export function deferred<Value>(): Deferred<Value> {
  const made = withResolvers<Value>();
  made.promise.catch(ignore);
  return made;
}

function ignore(): void {}

/** The same, made only when somebody asks for the promise: an idle object has many that nobody ever looks at. */
export class DeferredOnDemand<Value> implements Deferred<Value> {
  #promise: Promise<Value> | undefined;
  /** What settles the promise, while that is there and pending. */
  #pending: Deferred<Value> | undefined;
  /** How it is settled, once it is. */
  #settle: ((pending: Deferred<Value>) => void) | undefined;

  get promise(): Promise<Value> {
    if (this.#promise === undefined) {
      const made = deferred<Value>();
      this.#promise = made.promise;
      if (this.#settle === undefined) this.#pending = made;
      else this.#settle(made);
    }
    return this.#promise;
  }

  resolve(value: Value): void {
    this.#settleOnce((pending) => pending.resolve(value));
  }

  reject(reason: unknown): void {
    this.#settleOnce((pending) => pending.reject(reason));
  }

  #settleOnce(settle: (pending: Deferred<Value>) => void): void {
    if (this.#settle !== undefined) return;
    if (this.#pending !== undefined) settle(this.#pending);
    this.#settle = this.#pending === undefined ? settle : ignore;
    this.#pending = undefined;
  }
}
