// The operations chain of a connection: one description at a time.
// https://w3c.github.io/webrtc-pc/#dfn-operations-chain

import { DOMException } from '../errors.js';

export class OperationsChain {
  readonly #operations: (() => void)[] = [];
  readonly #isClosed: () => boolean;
  readonly #emptied: () => void;

  /** `emptied` runs when the last operation has ended. */
  constructor(isClosed: () => boolean, emptied: () => void) {
    this.#isClosed = isClosed;
    this.#emptied = emptied;
  }

  get isEmpty(): boolean {
    return this.#operations.length === 0;
  }

  /** Chains an operation. What it promises is passed on, unless the connection is closed by then. */
  chain<Value>(operation: () => Promise<Value>): Promise<Value> {
    // 2. A closed connection does nothing more.
    if (this.#isClosed()) return Promise.reject(new DOMException('The connection is closed', 'InvalidStateError'));
    // 4. to 6. The first in the chain runs at once, in this task.
    return new Promise((resolve, reject) => {
      const execute = (): void => {
        operation().then(
          (value) => this.#ended(() => resolve(value)),
          (reason) => this.#ended(() => reject(reason)),
        );
      };
      this.#operations.push(execute);
      if (this.#operations.length === 1) execute();
    });
  }

  #ended(settle: () => void): void {
    // 7. A closed connection's promises stay pending.
    if (this.#isClosed()) return;
    settle();
    // What the caller does upon it comes first, as upon any promise.
    queueMicrotask(() => {
      if (this.#isClosed()) return;
      this.#operations.shift();
      const next = this.#operations[0];
      if (next !== undefined) next();
      else this.#emptied();
    });
  }
}
