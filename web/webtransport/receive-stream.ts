// https://www.w3.org/TR/webtransport/#receive-stream

import { type Dispatch, hub, type Registration } from '../hub.js';
import { ReadableStream } from '../streams.js';
import { defineInterface, illegalConstructor } from '../webidl.js';
import { codeOf, sessionError, WebTransportError } from './error.js';
import { Kind, NativeReceiveStream } from './native.js';
import type { Session } from './session.js';

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportreceivestreamstats, as far as QUIC tells. */
interface ReceiveStreamStats {
  bytesReceived?: number;
  bytesRead: number;
}

/** The largest chunk that a read without a buffer of its own gets. */
const CHUNK = 64 * 1024;
/** From this length on memory is not cleared before it is filled. */
const UNCLEARED = 4096;

/** The underlying byte source: what a read and a cancel do on the network. */
class Source {
  readonly type = 'bytes' as const;
  readonly #session: Session;
  readonly #key: number;
  #native: NativeReceiveStream | undefined;
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
    const registration = hub.register(stream, dispatch);
    // The session keeps the process alive, and a stream that nobody can reach may be collected.
    registration.unref();
    registration.letGo();
    this.#registration = registration;
    const session = this.#session.native;
    try {
      this.#native = new NativeReceiveStream(hub.native, registration.id, session, this.#key);
    } catch {
      // The session has ended on the network's side and took the stream with it. Its last event is on its way, and
      // errors this stream too.
    }
    this.#session.addStream(registration, Kind.ReceiveEnded);
  }

  /** A read waits. What comes later than now is enqueued when `Readable` says so. */
  pull(): void {
    if (this.#native === undefined || this.#controller === undefined) return;
    const available = this.#native.available();
    if (available > 0) this.#deliver(this.#native, this.#controller, available);
    else if (available < 0) this.#finish(this.#controller);
    else this.#registration?.hold();
  }

  cancel(reason: unknown): void {
    this.#native?.stop(codeOf(reason));
    this.#end();
  }

  #deliver(native: NativeReceiveStream, controller: ReadableByteStreamController, available: number): void {
    const request = controller.byobRequest;
    if (request?.view) {
      const { buffer, byteOffset, byteLength } = request.view;
      const length = native.read(new Uint8Array(buffer, byteOffset, Math.min(available, byteLength)));
      this.#bytesRead += length;
      request.respond(length);
      return;
    }
    const length = Math.min(available, CHUNK);
    // `read` fills every byte.
    const bytes = length < UNCLEARED ? new Uint8Array(length) : new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    native.read(bytes);
    this.#bytesRead += length;
    controller.enqueue(bytes);
  }

  #finish(controller: ReadableByteStreamController): void {
    controller.close();
    // A read into a buffer is answered with no bytes.
    controller.byobRequest?.respond(0);
    this.#end();
  }

  #end(): void {
    if (this.#registration !== undefined) {
      this.#registration.close();
      this.#session.removeStream(this.#registration);
    }
    this.#bytesReceived = this.#native?.received() ?? this.#bytesReceived;
    this.#native = undefined;
  }

  stats(): ReceiveStreamStats {
    const bytesRead = this.#bytesRead;
    const bytesReceived = this.#native?.received() ?? this.#bytesReceived;
    return bytesReceived < 0 ? { bytesRead } : { bytesReceived, bytesRead };
  }

  /** Errors the stream: the peer gave it up, or its session has ended. */
  fail(error: unknown): void {
    this.#controller?.error(error);
    this.#end();
  }

  dispatch(kind: number, a: number, b: number): void {
    switch (kind) {
      case Kind.Readable:
        this.#registration?.letGo();
        this.pull();
        break;
      case Kind.ReceiveFinished:
        this.#registration?.close();
        // With bytes in the queue the end comes after the read of the last.
        if (this.#native?.available() === -1 && this.#controller !== undefined) this.#finish(this.#controller);
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
