// https://www.w3.org/TR/webtransport/#web-transport-writer-interface

import { DOMException } from '../errors.js';
import { WritableStreamDefaultWriter } from '../streams.js';
import { defineInterface, illegalConstructor } from '../webidl.js';

/** A chunk on its way through the stream's queue that is to be sent as a whole or not at all. */
export class AtomicChunk {
  readonly chunk: unknown;
  readonly #writer: WebTransportWriter;
  /** Rejects what `atomicWrite` returned; what `write` returned inside is fulfilled, since its failure would error the stream. */
  reject: (reason: unknown) => void = () => {};
  aborted = false;

  constructor(chunk: unknown, writer: WebTransportWriter) {
    this.chunk = chunk;
    this.#writer = writer;
  }

  /** How many writes the stream has, this one and those behind it. */
  get queued(): number {
    try {
      // Each write counts one towards a high water mark of one.
      return 1 - (this.#writer.desiredSize ?? 1);
    } catch {
      // The writer has been released: nobody but this one is known of.
      return 1;
    }
  }
}

/** What a stream's sink knows of its atomic writes: [[AtomicWriteRequests]], in order. */
export interface AtomicWrites {
  readonly atomicWrites: Set<AtomicChunk>;
}

/** Made by `getWriter` of a WebTransportSendStream only. */
export class WriterKey {
  readonly stream: WritableStream<unknown>;
  readonly sink: AtomicWrites;

  constructor(stream: WritableStream<unknown>, sink: AtomicWrites) {
    this.stream = stream;
    this.sink = sink;
  }
}

const { write } = WritableStreamDefaultWriter.prototype;

export class WebTransportWriter extends WritableStreamDefaultWriter<unknown> {
  readonly #sink: AtomicWrites;

  constructor(key?: unknown) {
    if (!(key instanceof WriterKey)) throw illegalConstructor();
    super(key.stream);
    this.#sink = key.sink;
  }

  async atomicWrite(chunk: unknown = undefined): Promise<undefined> {
    const { atomicWrites } = this.#sink;
    const request = new AtomicChunk(chunk, this);
    // 4., with the steps 3 and 5 in the chunk itself.
    const written = write.call(this, request) as Promise<void>;
    // 6.
    atomicWrites.add(request);
    const refused = new Promise<never>((_resolve, reject) => {
      request.reject = reject;
    });
    try {
      // 7.
      await Promise.race([refused, written]);
    } finally {
      atomicWrites.delete(request);
    }
    return undefined;
  }

  commit(): void {
    void this.#sink;
    throw new DOMException('QUIC streams cannot be reset reliably here', 'NotSupportedError');
  }
}

defineInterface(WebTransportWriter, { constructorLength: 0, lengths: { atomicWrite: 0 } });
