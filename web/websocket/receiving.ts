// The receiving side of a WebSocketStream: what came before a read asked for it, and when the socket is left unread so
// that the peer has to wait. https://whatpr.org/websockets/48.html#feedback-to-websocket-stream-from-the-protocol

import { ReadableStream } from '../streams.js';
import type { Connection } from './native.js';

export type Chunk = string | Uint8Array<ArrayBuffer>;

/** From so many bytes that nobody has read yet on, the socket is left unread. The hub may hold as much again as it may. */
const READ_AHEAD = 64 * 1024;
/** What a message costs beside its bytes. */
const MESSAGE_COST = 128;

export class Receiving {
  readonly readable: ReadableStream<Chunk>;
  readonly #connection: Connection;
  readonly #changed: () => void;
  #controller: ReadableStreamDefaultController<Chunk> | undefined;
  #ahead: { chunk: Chunk; cost: number }[] = [];
  /** How many of `#ahead` are read. */
  #taken = 0;
  #cost = 0;
  #isPaused = false;
  #isWanted = false;
  /** The connection has ended, with an error or without, and what came before is still to be read. */
  #end: { error: unknown } | undefined;

  /** `cancelled` is the cancel algorithm; `changed` is called when `isWanted` has changed. */
  constructor(connection: Connection, cancelled: (reason: unknown) => void, changed: () => void) {
    this.#connection = connection;
    this.#changed = changed;
    // What is read ahead stands here and not in the stream's queue: so a pull is a read.
    this.readable = new ReadableStream<Chunk>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pull(),
        cancel: (reason) => {
          this.#controller = undefined;
          this.discard();
          cancelled(reason);
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Whether a read waits for a message. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** A message of so many bytes came. */
  message(chunk: Chunk, length: number): void {
    if (this.#controller === undefined) return;
    if (this.#isWanted) {
      this.#isWanted = false;
      this.#controller.enqueue(chunk);
      this.#changed();
      return;
    }
    const cost = length + MESSAGE_COST;
    this.#ahead.push({ chunk, cost });
    this.#cost += cost;
    if (this.#cost >= READ_AHEAD && !this.#isPaused) {
      this.#isPaused = true;
      this.#connection.pause();
    }
  }

  /** Drops what nobody has read: the script has closed. */
  discard(): void {
    this.#ahead = [];
    this.#taken = 0;
    this.#cost = 0;
  }

  /** Nothing more comes. What came before can still be read; then the stream is closed, or errored with `error`. */
  end(error: unknown = undefined): void {
    this.#end = { error };
    if (this.#ahead.length === 0) this.#finish(error);
  }

  #pull(): void {
    const next = this.#ahead[this.#taken];
    if (next === undefined) {
      this.#isWanted = true;
      this.#changed();
      return;
    }
    this.#taken += 1;
    this.#cost -= next.cost;
    if (this.#taken === this.#ahead.length) {
      this.#ahead = [];
      this.#taken = 0;
    }
    this.#controller?.enqueue(next.chunk);
    if (this.#isPaused && this.#cost < READ_AHEAD / 2) {
      this.#isPaused = false;
      this.#connection.resume();
    }
    if (this.#end !== undefined && this.#ahead.length === 0) this.#finish(this.#end.error);
  }

  #finish(error: unknown): void {
    const controller = this.#controller;
    this.#controller = undefined;
    this.#isWanted = false;
    if (error === undefined) controller?.close();
    else controller?.error(error);
  }
}
