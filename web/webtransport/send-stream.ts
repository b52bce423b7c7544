// https://www.w3.org/TR/webtransport/#send-stream

import { DOMException } from '../errors.js';
import type { Part, Target } from '../part.js';
import { WritableStream } from '../streams.js';
import { BufferSource, defineInterface, illegalConstructor } from '../webidl.js';
import { codeOf, sessionError, WebTransportError } from './error.js';
import { Command, type StreamIds } from './halves.js';
import { Kind, type NativeSession } from './native.js';
import { SendPlace, type SendPlaceOptions, type WebTransportSendGroup } from './send-group.js';
import type { Session } from './session.js';
import { AtomicChunk, type AtomicWrites, WebTransportWriter, WriterKey } from './writer.js';

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportsendstreamstats, as far as QUIC tells. */
interface SendStreamStats {
  bytesWritten: number;
  bytesSent?: number;
  bytesAcknowledged?: number;
}

const CHUNK = "Failed to execute 'write' on 'WritableStreamDefaultWriter': chunk";

/** What became of an atomic write: the `a` of `AtomicWritten`. */
const ATOMIC = { nothing: 0, all: 1, part: 2 } as const;

interface Settle {
  resolve(): void;
  reject(reason: unknown): void;
}

/** The underlying sink: what a write, a close and an abort do on the network. */
class Sink implements AtomicWrites, Target {
  readonly #session: Session;
  readonly #id: number;
  readonly #part: Part;
  readonly place: SendPlace;
  /** The native session, as long as it has the stream. */
  #native: NativeSession | undefined;
  #controller: WritableStreamDefaultController | undefined;
  /** The write or the close that waits for the network. */
  #pending: Settle | undefined;
  /** The length of the chunk that waits. */
  #pendingBytes = 0;
  /** The chunk that waits, if it is to be taken as a whole. */
  #atomic: AtomicChunk | undefined;
  /** Made for the first. */
  #atomicWrites: Set<AtomicChunk> | undefined;
  #listens = false;
  /** The peer has acknowledged everything. */
  #finished = false;

  constructor(session: Session, { sending }: StreamIds, options: SendPlaceOptions | undefined) {
    this.#session = session;
    this.#id = sending;
    this.#native = session.nativeIfAny;
    this.#part = session.halves.addSending(sending, this);
    this.place = new SendPlace(session, this);
    if (options?.sendGroup || options?.sendOrder) this.place.take(options);
  }

  get atomicWrites(): Set<AtomicChunk> {
    this.#atomicWrites ??= new Set();
    return this.#atomicWrites;
  }

  start(controller: WritableStreamDefaultController): void {
    this.#controller = controller;
  }

  /** The native half hears where the stream stands. */
  moved(): void {
    this.#native?.setPlace(this.#id, this.place.group, this.place.sendOrder);
  }

  stats(): SendStreamStats {
    const { bytesWritten } = this.place;
    return this.#finished
      ? { bytesWritten, bytesSent: bytesWritten, bytesAcknowledged: bytesWritten }
      : { bytesWritten };
  }

  /** https://www.w3.org/TR/webtransport/#webtransportsendstream-write */
  write(chunk: unknown): Promise<void> | undefined {
    if (chunk instanceof AtomicChunk) return this.#writeAtomic(chunk);
    const bytes = BufferSource(chunk, CHUNK);
    if (this.#native === undefined) return undefined;
    this.#pendingBytes = bytes.byteLength;
    this.#session.halves.flushLater();
    if (!this.#native.write(this.#id, bytes)) return this.#wait();
    this.#wrote();
    return undefined;
  }

  #writeAtomic(request: AtomicChunk): Promise<void> | undefined {
    if (request.aborted) return undefined;
    const bytes = BufferSource(request.chunk, CHUNK);
    if (this.#native === undefined || bytes.byteLength === 0) return undefined;
    this.#pendingBytes = bytes.byteLength;
    this.#atomic = request;
    this.#session.halves.flushLater();
    this.#native.writeAtomic(this.#id, bytes);
    return this.#wait();
  }

  #wrote(): void {
    this.place.wrote(this.#pendingBytes);
    this.#pendingBytes = 0;
  }

  /** https://www.w3.org/TR/webtransport/#webtransportsendstream-abort-all-atomic-write-requests */
  #abortAtomicWrites(request: AtomicChunk): void {
    const error = new DOMException('flow control has no room for the whole chunk', 'AbortError');
    // 3. A write among them that may not get lost.
    if (request.queued > this.atomicWrites.size) {
      this.#native?.reset(this.#id, 0);
      this.fail(error);
      return;
    }
    // 4., 5.
    for (const one of this.atomicWrites) {
      one.aborted = true;
      one.reject(error);
    }
    this.atomicWrites.clear();
    this.#settle()?.resolve();
  }

  close(): Promise<void> | undefined {
    if (this.#native === undefined) return undefined;
    this.#session.halves.later(Command.finish, this.#id);
    return this.#wait();
  }

  abort(reason: unknown): void {
    this.#native?.reset(this.#id, codeOf(reason));
    this.#end();
  }

  /** Waits for `Writable` or `Finished`, and keeps the stream until then. */
  #wait(): Promise<void> {
    this.#part.hold();
    if (!this.#listens) {
      this.#listens = true;
      // An abort must not wait for a write that flow control holds back.
      this.#controller?.signal.addEventListener('abort', () => {
        const reason: unknown = this.#controller?.signal.reason;
        this.#native?.reset(this.#id, codeOf(reason));
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
    this.#atomic = undefined;
    this.#part.letGo();
    return pending;
  }

  #end(): void {
    this.#native = undefined;
    this.#part.close();
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
        this.#wrote();
        this.#settle()?.resolve();
        break;
      case Kind.AtomicWritten:
        if (this.#atomic === undefined) break;
        if (a === ATOMIC.nothing) this.#abortAtomicWrites(this.#atomic);
        else if (a === ATOMIC.all) {
          this.#wrote();
          this.#settle()?.resolve();
        } else {
          // What QUIC has taken it does not give back.
          this.#native?.reset(this.#id, 0);
          this.fail(new DOMException('flow control had room for a part of the chunk only', 'AbortError'));
        }
        break;
      case Kind.Finished:
        this.#finished = true;
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

export class WebTransportSendStream extends WritableStream<unknown> {
  readonly #sink: Sink;

  constructor(sink?: unknown) {
    if (!(sink instanceof Sink)) throw illegalConstructor();
    super(sink);
    this.#sink = sink;
  }

  get sendGroup(): WebTransportSendGroup | null {
    return this.#sink.place.sendGroup;
  }

  set sendGroup(value: unknown) {
    this.#sink.place.setSendGroup(value);
  }

  get sendOrder(): number {
    return this.#sink.place.sendOrder;
  }

  set sendOrder(value: unknown) {
    this.#sink.place.setSendOrder(value);
  }

  async getStats(): Promise<SendStreamStats> {
    return this.#sink.stats();
  }

  override getWriter(): WebTransportWriter {
    return new WebTransportWriter(new WriterKey(this, this.#sink));
  }
}

defineInterface(WebTransportSendStream, { constructorLength: 0 });

/** Makes the stream around its native half, in its place if a script has asked for one. */
export function createSendStream(session: Session, ids: StreamIds, options?: SendPlaceOptions): WebTransportSendStream {
  return new WebTransportSendStream(new Sink(session, ids, options));
}
