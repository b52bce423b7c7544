// https://www.w3.org/TR/webtransport/#receive-stream

import type { Part, Target } from '../part.js';
import type { Payload } from '../payload.js';
import { closeByteStream, ReadableStream } from '../streams.js';
import { defineInterface, illegalConstructor } from '../webidl.js';
import { codeOf, sessionError, WebTransportError } from './error.js';
import { Command, type StreamIds } from './halves.js';
import { Kind, type NativeSession } from './native.js';
import type { Session } from './session.js';

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportreceivestreamstats, as far as QUIC tells. */
interface ReceiveStreamStats {
  bytesReceived?: number;
  bytesRead: number;
}

/** The largest chunk that a read without a buffer of its own gets. */
const CHUNK = 64 * 1024;
/** Where short chunks are read to, before there is memory of their length. */
const scratch = new Uint8Array(4096);

/** The underlying byte source: what a read and a cancel do on the network. */
class Source implements Target {
  readonly type = 'bytes' as const;
  readonly #session: Session;
  readonly #id: number;
  readonly #part: Part;
  /** The native session, as long as it has the stream. */
  #native: NativeSession | undefined;
  #controller: ReadableByteStreamController | undefined;
  /** `Readable` or `ReceiveFinished` will come, and what it brings is the next. */
  #isAwaiting = false;
  /** Whether this end has opened the stream. */
  readonly #isOurs: boolean;
  /** When it was made, as `Halves` counts. */
  readonly #madeAt: number;
  #bytesRead = 0;
  /** What had come when the stream ended; −1 when more of it may have stood in QUIC. */
  #bytesReceived = 0;

  constructor(session: Session, { receiving, isOurs }: StreamIds) {
    this.#session = session;
    this.#id = receiving;
    this.#isOurs = isOurs;
    this.#native = session.nativeIfAny;
    this.#part = session.halves.addReceiving(receiving, this);
    this.#madeAt = session.halves.flushes;
  }

  start(controller: ReadableStreamDefaultController | ReadableByteStreamController): void {
    // As the type says.
    this.#controller = controller as ReadableByteStreamController;
  }

  /** A read waits. What comes later than now is enqueued when `Readable` says so. */
  pull(): void {
    const native = this.#native;
    const controller = this.#controller;
    if (native === undefined || controller === undefined) return;
    if (this.#isAwaiting) {
      this.#part.hold();
      return;
    }
    const { halves } = this.#session;
    if (this.#isOurs && this.#madeAt === halves.flushes) {
      // The peer does not know of the stream yet.
      halves.later(Command.awaitBytes, this.#id);
      this.#isAwaiting = true;
      this.#part.hold();
      return;
    }
    const request = controller.byobRequest;
    const view = request?.view;
    const target = view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : scratch;
    let count = native.receive(this.#id, target);
    if (count === 0) {
      this.#isAwaiting = true;
      this.#part.hold();
      return;
    }
    const finished = count < 0;
    if (finished) count = -1 - count;
    if (count > 0) {
      if (request) {
        if (count > target.byteLength) count = native.read(this.#id, target);
        this.#bytesRead += count;
        request.respond(count);
      } else {
        const bytes = count > scratch.byteLength ? this.#long(native, count) : scratch.slice(0, count);
        this.#bytesRead += bytes.byteLength;
        controller.enqueue(bytes);
      }
    }
    if (finished) this.#finish(controller);
  }

  /** A chunk of its own for what does not fit into the scratch memory. */
  #long(native: NativeSession, available: number): Uint8Array<ArrayBuffer> {
    // `read` fills every byte.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(Math.min(available, CHUNK)).buffer);
    native.read(this.#id, bytes);
    return bytes;
  }

  /** There are bytes, or the end. */
  #arrived(kind: number, isLast: number, payload: Payload): void {
    const isAwaited = this.#isAwaiting;
    this.#part.letGo();
    this.#isAwaiting = false;
    if (payload.length > 0) this.#take(payload, isLast);
    else if (kind === Kind.Readable) this.pull();
    // With bytes in the queue the end comes with the read of the last.
    else if (isLast && this.#controller) this.#finish(this.#controller);
    else if (isAwaited) this.pull();
  }

  /** Takes what came with the event. */
  #take(payload: Payload, isLast: number): void {
    const controller = this.#controller;
    if (controller === undefined) return;
    this.#bytesRead += payload.length;
    controller.enqueue(payload.bytes());
    if (isLast) this.#finish(controller);
  }

  cancel(reason: unknown): void {
    this.#native?.stop(this.#id, codeOf(reason));
    this.#end(this.#received());
  }

  #finish(controller: ReadableByteStreamController): void {
    // Where another read waits behind the one that has got the last bytes, that has pulled, and found the end.
    if (this.#native === undefined) return;
    closeByteStream(controller);
    this.#end(this.#bytesRead);
  }

  #end(bytesReceived: number): void {
    this.#bytesReceived = bytesReceived;
    this.#native = undefined;
    this.#part.close();
  }

  /** How many bytes have come; −1 when more of them may stand in QUIC. */
  #received(): number {
    return this.#native?.received(this.#id) ?? this.#bytesReceived;
  }

  stats(): ReceiveStreamStats {
    const bytesRead = this.#bytesRead;
    const bytesReceived = this.#received();
    return bytesReceived < 0 ? { bytesRead } : { bytesReceived, bytesRead };
  }

  /** Errors the stream: the peer gave it up, or its session has ended. */
  fail(error: unknown): void {
    this.#controller?.error(error);
    this.#end(this.#received());
  }

  dispatch(kind: number, a: number, b: number, payload: Payload): void {
    switch (kind) {
      case Kind.Readable:
      case Kind.ReceiveFinished:
        try {
          this.#arrived(kind, a, payload);
        } catch (error) {
          // An assertion of Node's streams fails, where two reads follow one that was given up with a part of its view filled.
          this.fail(error);
        }
        break;
      case Kind.Reset:
        this.fail(
          new WebTransportError('the peer reset the stream', { source: 'stream', streamErrorCode: b ? a : null }),
        );
        break;
      case Kind.ReceiveEnded:
        // Without a defect the session's own end follows, and brings its reason.
        if (a) this.fail(sessionError('an internal error ended the stream'));
        else if (this.#session.isOver) this.fail(this.#session.endError());
        break;
    }
  }
}

export class WebTransportReceiveStream extends ReadableStream<Uint8Array<ArrayBuffer>> {
  readonly #source: Source;

  constructor(source?: unknown) {
    if (!(source instanceof Source)) throw illegalConstructor();
    super(source);
    this.#source = source;
  }

  async getStats(): Promise<ReceiveStreamStats> {
    return this.#source.stats();
  }
}

defineInterface(WebTransportReceiveStream, { constructorLength: 0 });

/** Makes the stream around its native half. */
export function createReceiveStream(session: Session, ids: StreamIds): WebTransportReceiveStream {
  return new WebTransportReceiveStream(new Source(session, ids));
}
