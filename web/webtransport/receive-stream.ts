// https://www.w3.org/TR/webtransport/#receive-stream

import { type Dispatch, hub, type Registration } from '../hub.js';
import { ReadableStream } from '../streams.js';
import { defineInterface, illegalConstructor } from '../webidl.js';
import { codeOf, sessionError, WebTransportError } from './error.js';
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
const nothing = new Uint8Array(0);

/** The underlying byte source: what a read and a cancel do on the network. */
class Source {
  readonly type = 'bytes' as const;
  readonly #session: Session;
  readonly #key: number;
  /** The native session, as long as it has the stream. */
  #native: NativeSession | undefined;
  #registration: Registration | undefined;
  #controller: ReadableByteStreamController | undefined;
  #bytesRead = 0;
  /** What had come when the stream ended; −1 when more of it may have stood in QUIC. */
  #bytesReceived = 0;

  constructor(session: Session, key: number) {
    this.#session = session;
    this.#key = key;
  }

  start(controller: ReadableStreamDefaultController | ReadableByteStreamController): void {
    // As the type says.
    this.#controller = controller as ReadableByteStreamController;
  }

  /** Joins the native half to the stream, once that exists. */
  attach(stream: WebTransportReceiveStream): void {
    const session = this.#session;
    const { native } = session;
    const key = this.#key;
    const registration = hub.registerPart(stream, dispatch, () => {
      // A stream that is still open is given up by this. At its session's end it must end as that says.
      if (!session.isOver) native.releaseReceiving(key);
    });
    this.#registration = registration;
    try {
      native.startReceiving(hub.native, registration.id, key);
      this.#native = native;
      this.#session.flushLater();
    } catch {
      // The session has ended on the network's side and took the stream with it. Its last event is on its way, and
      // errors this stream too.
    }
    this.#session.addStream(registration, Kind.ReceiveEnded);
  }

  /** A read waits. What comes later than now is enqueued when `Readable` says so. */
  pull(): void {
    const native = this.#native;
    const controller = this.#controller;
    if (native === undefined || controller === undefined) return;
    const request = controller.byobRequest;
    const view = request?.view;
    const target = view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : scratch;
    let count = native.receive(this.#key, target);
    if (count === 0) {
      this.#registration?.hold();
      return;
    }
    const finished = count < 0;
    if (finished) count = -1 - count;
    if (count > 0) {
      if (request) {
        if (count > target.byteLength) count = native.read(this.#key, target);
        request.respond(count);
      } else controller.enqueue(count > scratch.byteLength ? this.#long(native, count) : scratch.slice(0, count));
      this.#bytesRead += count;
    }
    if (finished) this.#finish(controller);
  }

  /** A chunk of its own for what does not fit into the scratch memory. */
  #long(native: NativeSession, available: number): Uint8Array<ArrayBuffer> {
    // `read` fills every byte.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(Math.min(available, CHUNK)).buffer);
    native.read(this.#key, bytes);
    return bytes;
  }

  cancel(reason: unknown): void {
    this.#native?.stop(this.#key, codeOf(reason));
    this.#end(this.#received());
  }

  #finish(controller: ReadableByteStreamController): void {
    controller.close();
    // A read into a buffer is answered with no bytes.
    controller.byobRequest?.respond(0);
    this.#end(this.#bytesRead);
  }

  #end(bytesReceived: number): void {
    this.#bytesReceived = bytesReceived;
    this.#native = undefined;
    if (this.#registration === undefined) return;
    this.#registration.close();
    this.#session.removeStream(this.#registration);
  }

  /** How many bytes have come; −1 when more of them may stand in QUIC. */
  #received(): number {
    return this.#native?.received(this.#key) ?? this.#bytesReceived;
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

  dispatch(kind: number, a: number, b: number): void {
    switch (kind) {
      case Kind.Readable:
        this.#registration?.letGo();
        this.pull();
        break;
      case Kind.ReceiveFinished:
        this.#registration?.letGo();
        // With bytes in the queue the end comes with the read of the last.
        if (this.#native?.receive(this.#key, nothing) === -1 && this.#controller) this.#finish(this.#controller);
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

let dispatch: Dispatch<WebTransportReceiveStream>;

export class WebTransportReceiveStream extends ReadableStream<Uint8Array<ArrayBuffer>> {
  readonly #source: Source;

  constructor(source?: unknown) {
    if (!(source instanceof Source)) throw illegalConstructor();
    super(source);
    this.#source = source;
    source.attach(this);
  }

  static {
    dispatch = (stream, kind, a, b) => stream.#source.dispatch(kind, a, b);
  }

  async getStats(): Promise<ReceiveStreamStats> {
    return this.#source.stats();
  }
}

defineInterface(WebTransportReceiveStream, { constructorLength: 0 });

/** Makes the stream around a half that the session calls `key`. */
export function createReceiveStream(session: Session, key: number): WebTransportReceiveStream {
  return new WebTransportReceiveStream(new Source(session, key));
}
