// A stream.Duplex of Node that carries a WebSocket, where there is no socket for the native core to take over. What it
// reads goes down, what the connection writes comes up; both ends wait for each other.

import type { Duplex } from 'node:stream';
import { native } from '../binding.js';
import { hub } from '../hub.js';
import type { Payload } from '../payload.js';

/** The native half of a carrier. */
export interface DuplexStream {
  push(data: Uint8Array): boolean;
  end(): void;
  written(length: number): void;
  fail(): void;
}

const { DuplexStream, DuplexStreamEvent } = native<{
  DuplexStream: new (hub: object, id: number) => DuplexStream;
  DuplexStreamEvent: Record<'Write' | 'Room' | 'End' | 'Closed', number>;
}>();
const { Write, Room, End, Closed } = DuplexStreamEvent;

export class Carrier {
  readonly native: DuplexStream;
  readonly #stream: Duplex;
  readonly #registration = hub.register(this, Carrier.#dispatch);

  constructor(stream: Duplex) {
    this.#stream = stream;
    // The stream itself keeps the process alive, or does not.
    this.#registration.unref();
    this.native = new DuplexStream(hub.native, this.#registration.id);
  }

  /** Begins to read. */
  start(): void {
    const stream = this.#stream;
    stream.on('data', (data: Uint8Array) => {
      if (!this.native.push(data)) stream.pause();
    });
    stream.on('end', () => this.native.end());
    stream.on('error', () => this.native.fail());
    stream.on('close', () => this.native.fail());
    stream.resume();
  }

  /** Nothing comes of it: the stream is its owner's again. */
  cancel(): void {
    this.#registration.close();
  }

  static #dispatch(carrier: Carrier, kind: number, _a: number, _b: number, payload: Payload): void {
    const stream = carrier.#stream;
    if (kind === Write) {
      const { length } = payload;
      stream.write(payload.buffer(), (error) => {
        if (error) carrier.native.fail();
        else carrier.native.written(length);
      });
    } else if (kind === Room) {
      stream.resume();
    } else if (kind === End) {
      stream.end();
    } else if (kind === Closed) {
      carrier.#registration.close();
      // All is written; what may be under way is only the end itself.
      if (stream.writableEnded && !stream.writableFinished) stream.once('finish', () => stream.destroy());
      else stream.destroy();
    }
  }
}
