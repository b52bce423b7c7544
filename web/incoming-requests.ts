// The requests of a server that nobody has taken yet, and whoever wants them.

import { ReadableStream } from './streams.js';

export class IncomingRequests<Request> {
  readonly #queue: Request[] = [];
  readonly #acceptAtOnce: (request: Request) => void;
  /** Something listens for connections. */
  #heard = false;
  /** Somebody decides on each request. */
  #asked = false;
  #stream: ReadableStream<Request> | undefined;
  #controller: ReadableStreamDefaultController<Request> | undefined;
  #wanted: (() => void) | undefined;
  #ended = false;

  /** `acceptAtOnce` takes them the short way, when something listens for connections and nobody has asked for requests. */
  constructor(acceptAtOnce: (request: Request) => void) {
    this.#acceptAtOnce = acceptAtOnce;
  }

  get size(): number {
    return this.#queue.length;
  }

  /** Something listens for connections, or nothing does any more. */
  hear(heard: boolean): void {
    this.#heard = heard;
    this.#next();
  }

  get stream(): ReadableStream<Request> {
    this.#asked = true;
    this.#stream ??= new ReadableStream<Request>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () =>
          new Promise<void>((resolve) => {
            this.#wanted = resolve;
            this.#next();
          }),
        // What comes later waits for the next reader.
        cancel: () => {
          this.#stream = undefined;
          this.#controller = undefined;
          this.#wanted = undefined;
        },
      },
      { highWaterMark: 0 },
    );
    if (this.#ended) this.end();
    return this.#stream;
  }

  add(request: Request): void {
    this.#queue.push(request);
    this.#next();
  }

  /** Its client has gone. */
  remove(request: Request): void {
    const index = this.#queue.indexOf(request);
    if (index !== -1) this.#queue.splice(index, 1);
  }

  clear(): void {
    this.#queue.length = 0;
  }

  /** No more will come. */
  end(): void {
    this.#ended = true;
    this.#controller?.close();
    this.#controller = undefined;
    this.#wanted?.();
  }

  /** Gives what waits to whoever wants it: the stream's reader or, the short way, the listeners for `connection`. */
  #next(): void {
    if (this.#asked) {
      const request = this.#wanted && this.#queue.shift();
      if (request === undefined) return;
      this.#controller?.enqueue(request);
      this.#wanted?.();
      this.#wanted = undefined;
    } else if (this.#heard) {
      for (const request of this.#queue.splice(0)) this.#acceptAtOnce(request);
    }
  }
}
