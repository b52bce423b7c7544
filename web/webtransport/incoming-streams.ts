// The streams that a peer opens. https://www.w3.org/TR/webtransport/#webtransport-internal-slots

import { ReadableStream } from '../streams.js';

/** What ends with its session. */
export interface Ending {
  /** In good order. */
  close(): void;
  error(error: unknown): void;
}

/** One kind of them, and the underlying source of their stream. */
export class IncomingStreams<Stream> implements Ending {
  readonly readable: ReadableStream<Stream>;
  readonly #accept: (incoming: IncomingStreams<Stream>) => void;
  controller!: ReadableStreamDefaultController<Stream>;
  /** A read waits. */
  wanted = false;
  /** The script wants no more. */
  cancelled = false;

  constructor(accept: (incoming: IncomingStreams<Stream>) => void) {
    this.#accept = accept;
    this.readable = new ReadableStream<Stream>(this, { highWaterMark: 0 });
  }

  start(controller: ReadableStreamDefaultController<Stream>): void {
    this.controller = controller;
  }

  pull(): void {
    this.wanted = true;
    this.#accept(this);
  }

  cancel(): void {
    this.cancelled = true;
    this.wanted = false;
  }

  close(): void {
    if (!this.cancelled) this.controller.close();
  }

  error(error: unknown): void {
    this.controller.error(error);
  }
}
