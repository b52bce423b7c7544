// The streams that a peer opens. https://www.w3.org/TR/webtransport/#webtransport-internal-slots

import { ReadableStream } from '../streams.js';

/** What ends with its session. */
export interface Ending {
  /** In good order. */
  close(): void;
  error(error: unknown): void;
}

/** One kind of them. */
export class IncomingStreams<Stream> implements Ending {
  readonly readable: ReadableStream<Stream>;
  controller!: ReadableStreamDefaultController<Stream>;
  /** A read waits. */
  wanted = false;
  /** The script wants no more. */
  cancelled = false;

  constructor(pull: (incoming: IncomingStreams<Stream>) => void) {
    this.readable = new ReadableStream<Stream>(
      {
        start: (controller) => {
          this.controller = controller;
        },
        pull: () => {
          this.wanted = true;
          pull(this);
        },
        cancel: () => {
          this.cancelled = true;
          this.wanted = false;
        },
      },
      { highWaterMark: 0 },
    );
  }

  close(): void {
    if (!this.cancelled) this.controller.close();
  }

  error(error: unknown): void {
    this.controller.error(error);
  }
}
