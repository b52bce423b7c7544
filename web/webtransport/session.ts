// A session's state and algorithms, behind the WebTransport object that shows them.
// https://www.w3.org/TR/webtransport/#webtransport-internal-slots

import { setImmediate as setRealImmediate } from 'node:timers';
import { DeferredOnDemand } from '../deferred.js';
import { DOMException, fromNative, quotaExceeded } from '../errors.js';
import { type Dispatch, hub, Operations, type Registration } from '../hub.js';
import { createBidirectionalStream, type WebTransportBidirectionalStream } from './bidirectional-stream.js';
import { createDatagrams, type Datagrams } from './datagrams.js';
import {
  ABORTED,
  blockedPort,
  type Cause,
  CLIENT_GONE,
  type Observer,
  parseCause,
  unexplained,
} from './diagnostics.js';
import { sessionError, type WebTransportError } from './error.js';
import { Halves, newIds, type StreamIds } from './halves.js';
import { immutable, parseHeaders } from './headers.js';
import { type Ending, IncomingStreams } from './incoming-streams.js';
import { type ConnectOptions, Kind, NativeSession } from './native.js';
import { NO_PREFERENCES, type Preferences } from './options.js';
import { createReceiveStream, type WebTransportReceiveStream } from './receive-stream.js';
import { checkSendGroup, type SendPlaceOptions } from './send-group.js';
import { createSendStream, type WebTransportSendStream } from './send-stream.js';

export type State = 'connecting' | 'connected' | 'draining' | 'closed' | 'failed';

export interface CloseInfo {
  closeCode: number;
  reason: string;
}

/** A converted WebTransportSendStreamOptions. */
interface StreamOptions extends SendPlaceOptions {
  waitUntilAvailable: boolean;
}

/** What is there already, or will be. */
type Awaitable<Value> = Value | Promise<Value>;

/** Makes the object of a stream around its native halves. */
type Make<Stream> = (session: Session, ids: StreamIds, options?: SendPlaceOptions) => Stream;

const MAX_REASON_BYTES = 1024;
/** What scripts hear of every failure to establish a session, in Chromium's words. */
const HANDSHAKE_FAILED = 'Opening handshake failed.';

export class Session {
  readonly #registration: Registration;
  #native: NativeSession | undefined;
  #state: State = 'connecting';
  readonly #ready = new DeferredOnDemand<undefined>();
  readonly #closed = new DeferredOnDemand<CloseInfo>();
  readonly #draining = new DeferredOnDemand<undefined>();
  #error: WebTransportError | undefined;
  /** Why it failed. */
  #cause: Cause | undefined;
  #isKept = true;
  /** `closed` or `draining` was handed out. */
  #isWatched = false;
  /** Streams that wait for the peer's limit. */
  #opening = 0;
  /** Made when a script asks for them, these and what follows: most sessions are asked for some only. */
  #bidirectional: IncomingStreams<WebTransportBidirectionalStream> | undefined;
  #unidirectional: IncomingStreams<WebTransportReceiveStream> | undefined;
  #datagrams: Datagrams | undefined;
  #halves: Halves | undefined;
  #operations: Operations | undefined;
  #responseHeaders: Headers | null = null;
  /** The lines of the answer that have not been looked at: the protocol, and the headers. */
  #answer: string | undefined;
  #protocol = '';

  /** The last figures of `getStats()`, as the native core writes them. */
  lastStats = '';
  readonly preferences: Preferences;
  #reliability: 'pending' | 'supports-unreliable' = 'pending';

  /** Who tells the operator. */
  #observer: Observer | undefined;

  constructor(preferences: Preferences) {
    this.preferences = preferences;
    this.#registration = hub.register(this, Session.#dispatch);
  }

  /** Begins to connect: https://www.w3.org/TR/webtransport/#initialize-webtransport-over-http */
  static connect(this: void, options: ConnectOptions, preferences: Preferences): Session {
    const session = new Session(preferences);
    session.#attach((id) => new NativeSession(hub.native, id, options));
    return session;
  }

  /** A session that fails without a packet. */
  static blocked(this: void, message: string, preferences: Preferences): Session {
    const session = new Session(preferences);
    setRealImmediate(() => {
      session.#fail(blockedPort(message));
      session.#registration.close();
    });
    return session;
  }

  /** A session that a server has accepted. If its client has gone (`accept` returns null) it fails at once. */
  static accepted(this: void, protocol: string, accept: (id: number) => NativeSession | null): Session {
    const session = new Session({ ...NO_PREFERENCES });
    if (session.#attach(accept)) {
      session.#protocol = protocol;
      session.#establish();
    } else {
      session.#fail(CLIENT_GONE);
      session.#registration.close();
    }
    return session;
  }

  /** Names who tells the operator of what becomes of the session, and of what it is already. */
  observe(observer: Observer): void {
    this.#observer = observer;
    if (this.isOpen) observer.opened(this.#protocol);
    else if (this.#cause !== undefined) observer.failed(this.#cause);
  }

  #attach(make: (id: number) => NativeSession | null): boolean {
    try {
      this.#native = make(this.#registration.id) ?? undefined;
    } catch (error) {
      this.#registration.close();
      throw fromNative(error);
    }
    return this.#native !== undefined;
  }

  get native(): NativeSession {
    if (this.#native === undefined) throw new DOMException('the session has ended', 'InvalidStateError');
    return this.#native;
  }

  /** None before the native core has begun, and behind the end. */
  get nativeIfAny(): NativeSession | undefined {
    return this.#native;
  }

  get state(): State {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#state === 'connected' || this.#state === 'draining';
  }

  get isOver(): boolean {
    return this.#state === 'closed' || this.#state === 'failed';
  }

  get ready(): Promise<undefined> {
    return this.#ready.promise;
  }

  get closed(): Promise<CloseInfo> {
    this.#isWatched = true;
    this.keep();
    return this.#closed.promise;
  }

  get draining(): Promise<undefined> {
    this.#isWatched = true;
    this.keep();
    return this.#draining.promise;
  }

  /** Settled when the session is over; unlike `closed` it is not handed out. */
  get over(): Promise<unknown> {
    return this.#closed.promise.catch(() => {});
  }

  get reliability(): 'pending' | 'supports-unreliable' {
    return this.#reliability;
  }

  /** Lets the peer open as many streams at once as the script expects. */
  anticipate(): void {
    const { anticipatedBidirectional, anticipatedUnidirectional } = this.preferences;
    if (this.isOpen) this.native.anticipateStreams(anticipatedBidirectional ?? 0, anticipatedUnidirectional ?? 0);
  }

  get protocol(): string {
    return this.#protocol;
  }

  get responseHeaders(): Headers | null {
    if (this.#answer !== undefined) {
      this.#responseHeaders = immutable(parseHeaders(this.#answer.split('\n').slice(1)));
      this.#answer = undefined;
    }
    return this.#responseHeaders;
  }

  get halves(): Halves {
    this.#halves ??= new Halves(this);
    return this.#halves;
  }

  get incomingBidirectionalStreams(): ReadableStream<WebTransportBidirectionalStream> {
    this.#bidirectional ??= this.#ended(
      new IncomingStreams((incoming) => this.#accept(incoming, true, createBidirectionalStream)),
    );
    return this.#bidirectional.readable;
  }

  get incomingUnidirectionalStreams(): ReadableStream<WebTransportReceiveStream> {
    this.#unidirectional ??= this.#ended(
      new IncomingStreams((incoming) => this.#accept(incoming, false, createReceiveStream)),
    );
    return this.#unidirectional.readable;
  }

  get datagrams(): Datagrams {
    this.#datagrams ??= this.#ended(createDatagrams(this));
    return this.#datagrams;
  }

  /** What has been made. */
  get #parts(): Ending[] {
    return [this.#bidirectional, this.#unidirectional, this.#datagrams].filter((part) => part !== undefined);
  }

  /** What is made after the end has ended. */
  #ended<Part extends Ending>(part: Part): Part {
    if (this.#state === 'closed') part.close();
    else if (this.#state === 'failed') part.error(this.endError());
    return part;
  }

  ref(): void {
    this.#registration.ref();
  }

  unref(): void {
    this.#registration.unref();
  }

  /**
   * Keeps the session from being collected, which would close it, as long as a script may hear from it with nothing of it
   * in hand: through a promise that it was given.
   */
  keep(): void {
    const isAwaited =
      this.#state === 'connecting' ||
      this.#isWatched ||
      this.#opening > 0 ||
      this.#bidirectional?.wanted === true ||
      this.#unidirectional?.wanted === true ||
      this.#datagrams?.isAwaited === true;
    if (isAwaited === this.#isKept) return;
    this.#isKept = isAwaited;
    if (isAwaited) this.#registration.hold();
    else this.#registration.letGo();
  }

  /** https://www.w3.org/TR/webtransport/#dom-webtransport-close */
  close(closeCode: number, reason: string): void {
    // 2.
    if (this.isOver) return;
    // 3. Before it is established it fails.
    if (this.#state === 'connecting') {
      this.#native?.close(0, '');
      this.#fail(ABORTED);
      return;
    }
    this.lastStats = this.#native?.stats() ?? this.lastStats;
    // 6. to 8. The peer hears of at most 1024 bytes of UTF-8.
    this.#native?.close(closeCode, truncate(reason, MAX_REASON_BYTES));
    // 9. Differs from the spec: streams error as browsers have them, not with an AbortError.
    this.#cleanUp(sessionError('the session was closed'), { closeCode, reason });
  }

  /** https://www.w3.org/TR/webtransport/#dom-webtransport-createbidirectionalstream */
  createBidirectionalStream(options: StreamOptions): Awaitable<WebTransportBidirectionalStream> {
    return this.#create(true, options, createBidirectionalStream);
  }

  /** https://www.w3.org/TR/webtransport/#dom-webtransport-createunidirectionalstream */
  createUnidirectionalStream(options: StreamOptions): Awaitable<WebTransportSendStream> {
    return this.#create(false, options, createSendStream);
  }

  #create<Stream>(bidirectional: boolean, options: StreamOptions, make: Make<Stream>): Awaitable<Stream> {
    checkSendGroup(this, options.sendGroup);
    if (this.isOver) throw ended();
    if (this.#state === 'connecting') {
      const failed = () => {
        throw ended();
      };
      return this.#ready.promise.then(() => this.#create(bidirectional, options, make), failed);
    }
    if (!options.waitUntilAvailable) {
      const ids = this.#open(bidirectional, undefined);
      if (ids === undefined) throw quotaExceeded('the peer allows no further stream now');
      return make(this, ids, options);
    }
    const opened = this.#whenAvailable(bidirectional);
    return opened instanceof Promise ? opened.then((ids) => make(this, ids, options)) : make(this, opened, options);
  }

  /** Opens a stream, if the peer's limit allows one. With an operation it is told when it does. */
  #open(bidirectional: boolean, operation: number | undefined): StreamIds | undefined {
    const ids = newIds('us', bidirectional);
    const isOpen = this.native.openStream(ids.sending, ids.receiving, operation);
    if (isOpen) this.halves.flushLater();
    return isOpen ? ids : undefined;
  }

  /** A new stream, when the peer's limit allows one. */
  #whenAvailable(bidirectional: boolean): Awaitable<StreamIds> {
    this.#operations ??= new Operations();
    const { id, promise } = this.#operations.start<number>();
    const ids = this.#open(bidirectional, id);
    if (ids !== undefined) {
      this.#operations.resolve(id);
      return ids;
    }
    this.#opening += 1;
    this.keep();
    const isOver = () => {
      this.#opening -= 1;
      this.keep();
    };
    return promise.finally(isOver).then((key) => {
      const opened = newIds('us', bidirectional);
      // Otherwise the session has ended on the network's side and took the stream with it. Its last event is on its way,
      // and errors this stream too.
      if (this.#native?.takeStream(key, opened.sending, opened.receiving)) this.halves.flushLater();
      return opened;
    });
  }

  #accept<Stream>(incoming: IncomingStreams<Stream> | undefined, bidirectional: boolean, make: Make<Stream>): void {
    if (incoming?.wanted && this.isOpen) {
      const ids = newIds('peer', bidirectional);
      if (this.native.acceptStream(ids.sending, ids.receiving)) {
        this.halves.flushLater();
        incoming.wanted = false;
        incoming.controller.enqueue(make(this, ids));
      }
    }
    this.keep();
  }

  /** What a stream of an ended session errors with. */
  endError(): WebTransportError {
    return this.#error ?? sessionError('the session has ended');
  }

  #establish(): void {
    this.#state = 'connected';
    this.#reliability = 'supports-unreliable';
    this.anticipate();
    this.#datagrams?.established();
    this.#ready.resolve(undefined);
    this.#observer?.opened(this.#protocol);
    this.#accept(this.#bidirectional, true, createBidirectionalStream);
    this.#accept(this.#unidirectional, false, createReceiveStream);
    this.keep();
  }

  #fail(cause: Cause): void {
    if (this.isOver) return;
    this.#cause = cause;
    // Why there is no session would tell a script what is where on the network: the operator hears of it.
    const isOurs = this.isOpen || cause === ABORTED || cause === CLIENT_GONE;
    this.#cleanUp(sessionError(isOurs ? cause.text : HANDSHAKE_FAILED));
    this.#observer?.failed(cause);
  }

  /** https://www.w3.org/TR/webtransport/#webtransport-cleanup */
  #cleanUp(error: WebTransportError, closeInfo?: CloseInfo): void {
    if (this.isOver) return;
    this.#error = error;
    this.#state = closeInfo === undefined ? 'failed' : 'closed';
    // 3. to 8. Scripts may run in what follows, and ask for parts that have not been made: those are made as ended.
    const parts = this.#parts;
    // 12., 13.
    this.#halves?.endAll();
    this.#operations?.rejectAll(ended());
    if (closeInfo !== undefined) {
      // 14.
      this.#closed.resolve(closeInfo);
      for (const part of parts) part.close();
    } else {
      // 15.
      this.#closed.reject(error);
      this.#ready.reject(error);
      for (const part of parts) part.error(error);
    }
    if (closeInfo !== undefined) this.#observer?.closed(closeInfo);
  }

  static #dispatch: Dispatch<Session> = (session, kind, a, b, payload) => {
    switch (kind) {
      case Kind.Ready:
        // A script may have closed it meanwhile.
        if (session.isOver) break;
        session.#answer = payload.text();
        [session.#protocol] = session.#answer.split('\n', 1) as [string];
        session.#establish();
        break;
      case Kind.Stats:
        session.lastStats = payload.text();
        break;
      case Kind.Closed:
        session.#cleanUp(sessionError('the peer closed the session'), { closeCode: a, reason: payload.text() });
        break;
      case Kind.Failed:
        session.#fail(parseCause(a, payload.text()));
        break;
      case Kind.Draining:
        if (session.#state === 'connected') session.#state = 'draining';
        session.#draining.resolve(undefined);
        break;
      case Kind.IncomingBidirectional:
        session.#accept(session.#bidirectional, true, createBidirectionalStream);
        break;
      case Kind.IncomingUnidirectional:
        session.#accept(session.#unidirectional, false, createReceiveStream);
        break;
      case Kind.StreamOpened:
        session.#operations?.resolve(a, b);
        break;
      case Kind.DatagramsReadable:
        session.#datagrams?.incoming.arrived();
        break;
      case Kind.DatagramsWritable:
        session.#datagrams?.outgoing.sent(a);
        break;
      case Kind.Ended:
        session.#fail(unexplained(a !== 0));
        session.#registration.close();
        session.#halves?.flush();
        session.#native = undefined;
        break;
    }
  };
}

function ended(): DOMException {
  return new DOMException('the session has ended', 'InvalidStateError');
}

/** The longest front of `text` that has at most `limit` bytes of UTF-8 and ends between two characters. */
function truncate(text: string, limit: number): string {
  if (text.length * 3 <= limit) return text;
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= limit) return text;
  let end = limit;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return new TextDecoder().decode(bytes.subarray(0, end));
}
