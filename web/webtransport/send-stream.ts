// https://www.w3.org/TR/webtransport/#send-stream

import { type Dispatch, hub, type Registration } from '../hub.js';
import { WritableStream } from '../streams.js';
import { BufferSource, defineInterface, illegalConstructor } from '../webidl.js';
import { codeOf, sessionError, WebTransportError } from './error.js';
import { Kind, NativeSendStream } from './native.js';
import type { Session } from './session.js';

interface Settle {
  resolve(): void;
  reject(reason: unknown): void;
}

/** The underlying sink: what a write, a close and an abort do on the network. */
class Sink {
  readonly #session: Session;
  readonly #key: number;
  #native: NativeSendStream | undefined;
  #registration: Registration | undefined;
  #controller: WritableStreamDefaultController | undefined;
  /** The write or the close that waits for the network. */
  #pending: Settle | undefined;
  #listens = false;

  constructor(session: Session, key: number) {
    this.#session = session;
    this.#key = key;
  }

  start(controller: WritableStreamDefaultController): void {
    this.#controller = controller;
  }

  /** Joins the native half to the stream, once that exists. */
  attach(stream: WebTransportSendStream): void {
    const registration = hub.register(stream, dispatch);
    // The session keeps the process alive, and a stream that nobody can reach may be collected.
    registration.unref();
    registration.letGo();
    this.#registration = registration;
    const session = this.#session.native;
    try {
      this.#native = new NativeSendStream(hub.native, registration.id, session, this.#key);
    } catch {
      // The session has ended on the network's side and took the stream with it. Its last event is on its way, and
      // errors this stream too.
    }
    this.#session.addStream(registration, Kind.SendEnded);
  }

  write(chunk: unknown): Promise<void> | undefined {
    const bytes = BufferSource(chunk, "Failed to execute 'write' on 'WritableStreamDefaultWriter': chunk");
    if (this.#native === undefined || this.#native.write(bytes)) return undefined;
    return this.#wait();
  }

  close(): Promise<void> | undefined {
    if (this.#native === undefined) return undefined;
    this.#native.finish();
    return this.#wait();
  }

  abort(reason: unknown): void {
    this.#native?.reset(codeOf(reason));
    this.#end();
  }

  /** Waits for `Writable` or `Finished`, and keeps the stream until then. */
  #wait(): Promise<void> {
    this.#registration?.hold();
    if (!this.#listens) {
      this.#listens = true;
      // An abort must not wait for a write that flow control holds back.
      this.#controller?.signal.addEventListener('abort', () => {
        const reason: unknown = this.#controller?.signal.reason;
        this.#native?.reset(codeOf(reason));
        this.#settle()?.reject(reason);
      });
    }
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
    });
  }

  #settle(): Settle | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#registration?.letGo();
    return pending;
  }

  #end(): void {
    if (this.#registration !== undefined) {
      this.#registration.close();
      this.#session.removeStream(this.#registration);
    }
    this.#native = undefined;
  }

  /** Errors the stream: the peer stopped it, or its session has ended. */
  fail(error: unknown): void {
    this.#controller?.error(error);
    this.#settle()?.reject(error);
    this.#end();
  }

  dispatch(kind: number, a: number, b: number): void {
    switch (kind) {
      case Kind.Writable:
        this.#settle()?.resolve();
        break;
      case Kind.Finished:
        this.#settle()?.resolve();
        this.#end();
        break;
      case Kind.Stopped:
        this.fail(
          new WebTransportError('the peer asked to stop sending', { source: 'stream', streamErrorCode: b ? a : null }),
        );
        break;
      case Kind.SendEnded:
        // Without a defect the session's own end follows, and brings its reason.
        if (a) this.fail(sessionError('an internal error ended the stream'));
        else if (this.#session.isOver) this.fail(this.#session.endError());
        break;
    }
  }
}

let dispatch: Dispatch<WebTransportSendStream>;

export class WebTransportSendStream extends WritableStream<unknown> {
  readonly #sink: Sink;

  constructor(sink?: unknown) {
    if (!(sink instanceof Sink)) throw illegalConstructor();
    super(sink);
    this.#sink = sink;
    sink.attach(this);
  }

  static {
    dispatch = (stream, kind, a, b) => stream.#sink.dispatch(kind, a, b);
  }
}

defineInterface(WebTransportSendStream, { constructorLength: 0 });

/** Makes the stream around a half that the session calls `key`. */
export function createSendStream(session: Session, key: number): WebTransportSendStream {
  return new WebTransportSendStream(new Sink(session, key));
}
