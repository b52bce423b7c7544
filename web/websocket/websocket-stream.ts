// WebSocketStream: a WebSocket whose messages are chunks of streams, with back-pressure both ways.
// https://whatpr.org/websockets/48.html#the-websocketstream-interface

import { setImmediate as setRealImmediate } from 'node:timers';
import { isBadPort } from '../bad-port.js';
import { deferred } from '../deferred.js';
import { DOMException, fromNative } from '../errors.js';
import { hub, type Registration } from '../hub.js';
import { defineNodeMembers } from '../node-members.js';
import type { Payload } from '../payload.js';
import { WritableStream } from '../streams.js';
import { BufferSource, defineInterface, isBufferSource, requireArguments, USVString } from '../webidl.js';
import { closeInfo, codeOrNormal, validateCloseCodeAndReason } from './close-info.js';
import { BLOCKED_PORT, type Cause, publishClose, publishError, publishOpen } from './diagnostics.js';
import {
  ABNORMAL,
  type Connection,
  FAILED,
  NO_CONNECTION,
  WAS_CLEAN,
  WebSocketConnection,
  WebSocketEvent,
} from './native.js';
import { type Arguments, convertStreamArguments, type Destination } from './options.js';
import { type Chunk, Receiving } from './receiving.js';
import { Sending } from './sending.js';
import { closeInfoOf, createWebSocketError } from './websocket-error.js';

const { Open, Text, Binary, Drained, Closing, Closed, Failed } = WebSocketEvent;

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** Up to so many bytes a write is taken although the network has not taken it. */
const SEND_BUFFER = 128 * 1024;

/** https://whatpr.org/websockets/48.html#dictdef-websocketopeninfo */
interface OpenInfo {
  extensions: string;
  protocol: string;
  readable: ReadableStream<Chunk>;
  writable: WritableStream<unknown>;
}

interface CloseInfo {
  closeCode: number;
  reason: string;
}

interface Settle {
  resolve(): void;
  reject(reason: unknown): void;
}

/** What is shown of one. */
let shown: (stream: WebSocketStream) => object;

export class WebSocketStream {
  static {
    shown = (stream) => ({
      url: stream.#url,
      readyState: ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'][stream.#readyState],
      bufferedAmount: stream.#sending.bufferedAmount,
    });
  }

  readonly #url: string;
  readonly #opened = deferred<OpenInfo>();
  readonly #closed = deferred<CloseInfo>();
  #registration: Registration | undefined;
  #connection: Connection = NO_CONNECTION;
  #sending = new Sending(NO_CONNECTION);
  #receiving: Receiving | undefined;
  #writable: WritableStreamDefaultController | undefined;
  #readyState: 0 | 1 | 2 | 3 = CONNECTING;
  #wasEverConnected = false;
  #handshakeAborted = false;
  #forgetSignal: () => void = () => {};
  /** The write that waits for the network. */
  #writing: Settle | undefined;
  /** The close of the writable stream, which waits for the connection's. */
  #ending: Settle | undefined;
  /** The peer has closed before it had all of a write. */
  #isUnsent = false;
  /** Why the connection failed: for the operator only. */
  #cause: Cause | undefined;
  /** Whether a script has these promises, and so may hear from us. */
  #isOpenedWatched = false;
  #isClosedWatched = false;

  /** https://whatpr.org/websockets/48.html#dom-websocketstream-websocketstream */
  constructor(url: string | URL, options: unknown = {}) {
    // biome-ignore lint/complexity/noArguments: Web IDL counts the arguments that were given.
    requireArguments(arguments, 1, 'WebSocketStream constructor');
    // 1. to 4.
    const { record, destination, lookup, signal } = convertStreamArguments(USVString(url, 'url'), options);
    // 5. to 7. Back-pressure begins with the first message that nobody reads.
    this.#url = record.href;
    // 8.
    if (signal?.aborted) {
      this.#rejectBoth(signal.reason);
      return;
    }
    this.#establish(destination, lookup);
    if (signal !== undefined) this.#abortWith(signal);
  }

  get url(): string {
    return this.#url;
  }

  get opened(): Promise<OpenInfo> {
    if (!(#opened in this)) return illegalInvocation();
    this.#isOpenedWatched = true;
    this.#holdOrLetGo();
    return this.#opened.promise;
  }

  get closed(): Promise<CloseInfo> {
    if (!(#closed in this)) return illegalInvocation();
    this.#isClosedWatched = true;
    this.#holdOrLetGo();
    return this.#closed.promise;
  }

  /** https://whatpr.org/websockets/48.html#dom-websocketstream-close */
  close(info: unknown = {}): void {
    if (!(#url in this)) throw new TypeError('Illegal invocation: not a WebSocketStream');
    const { closeCode, reason } = closeInfo(info, 'closeInfo');
    validateCloseCodeAndReason(closeCode, reason);
    this.#closeTheWebSocket(closeCode, reason);
  }

  /** Keeps the process alive while the connection is open (the default). */
  ref(): void {
    this.#registration?.ref();
  }

  /** Lets the process end although the connection is open. */
  unref(): void {
    this.#registration?.unref();
  }

  /** 9. 10. Establish a WebSocket connection. */
  #establish(destination: Destination, lookup: Arguments['lookup']): void {
    this.#registration = hub.register(this, WebSocketStream.#dispatch);
    this.#holdOrLetGo();
    if (isBadPort(destination.port)) {
      this.#cause = BLOCKED_PORT;
      setRealImmediate(() => this.#connectionClosed(ABNORMAL, FAILED, ''));
      return;
    }
    try {
      const connection = new WebSocketConnection(hub.native, this.#registration.id, destination);
      this.#connection = connection;
      this.#sending = new Sending(connection, { fell: () => this.#bufferFell() });
      lookup?.(connection);
    } catch (error) {
      this.#registration.close();
      throw fromNative(error);
    }
  }

  /** The abort steps that are added to the signal. */
  #abortWith(signal: AbortSignal): void {
    const abort = () => {
      this.#connection.abort();
      this.#readyState = CLOSING;
      this.#rejectBoth(signal.reason);
      this.#handshakeAborted = true;
    };
    signal.addEventListener('abort', abort, { once: true });
    // After the handshake the signal does nothing.
    this.#forgetSignal = () => signal.removeEventListener('abort', abort);
  }

  #rejectBoth(reason: unknown): void {
    this.#opened.reject(reason);
    this.#closed.reject(reason);
  }

  static #dispatch(stream: WebSocketStream, kind: number, a: number, b: number, payload: Payload): void {
    if (kind === Text) {
      if (stream.#readyState === OPEN) stream.#receiving?.message(payload.text(), payload.length);
    } else if (kind === Binary) {
      if (stream.#readyState === OPEN) stream.#receiving?.message(payload.bytes(), payload.length);
    } else if (kind === Drained) {
      stream.#sending.drained(a + b * 2 ** 32);
    } else if (kind === Open) {
      stream.#connectionEstablished(payload.text());
    } else if (kind === Closing) {
      stream.#closingHandshakeStarted();
    } else if (kind === Failed) {
      stream.#cause = { number: a, text: payload.text() };
    } else if (kind === Closed) {
      stream.#connectionClosed(a, b, payload.text());
    }
  }

  /** "When the WebSocket connection is established" */
  #connectionEstablished(agreed: string): void {
    // A close() while the last message of the handshake was on its way has failed the connection.
    if (this.#readyState !== CONNECTING) return;
    this.#forgetSignal();
    // 1. 2.
    this.#readyState = OPEN;
    this.#wasEverConnected = true;
    // 5. to 8. and 13.
    this.#receiving = new Receiving(
      this.#connection,
      (reason) => this.#closeUsingReason(reason),
      () => this.#holdOrLetGo(),
    );
    // 9. to 12. and 14.
    const writable = new WritableStream<unknown>({
      start: (controller) => {
        this.#writable = controller;
        // An abort must not wait for a write that the network holds back.
        controller.signal.addEventListener('abort', () => this.#settleWriting()?.reject(controller.signal.reason));
      },
      write: (chunk) => this.#write(chunk),
      close: () => this.#closeWritable(),
      abort: (reason) => this.#closeUsingReason(reason),
    });
    // 3. 4.
    const [protocol = '', extensions = ''] = agreed.split('\0');
    publishOpen(this, protocol, extensions);
    // 15.
    this.#opened.resolve({ extensions, protocol, readable: this.#receiving.readable, writable });
    this.#holdOrLetGo();
  }

  #closingHandshakeStarted(): void {
    if (this.#readyState === OPEN) this.#readyState = CLOSING;
    if (this.#writing !== undefined) this.#isUnsent = true;
    this.#sending.acknowledge();
  }

  /** "When the WebSocket connection is closed" */
  #connectionClosed(code: number, flags: number, reason: string): void {
    this.#forgetSignal();
    // 1.
    this.#readyState = CLOSED;
    this.#sending.acknowledge();
    this.#registration?.close();
    if (!this.#wasEverConnected || (flags & FAILED) !== 0) publishError(this, this.#cause);
    publishClose(this, code, reason, (flags & WAS_CLEAN) !== 0);
    // 2.
    if (this.#handshakeAborted) return;
    // 3.
    if (!this.#wasEverConnected) {
      this.#opened.reject(createWebSocketError('The WebSocket connection could not be established', undefined, ''));
    }
    // 6.
    if (this.#wasEverConnected && (flags & WAS_CLEAN) !== 0 && !this.#isUnsent) {
      this.#receiving?.end();
      if (this.#ending === undefined) {
        this.#settleWriting()?.resolve();
        this.#writable?.error(new DOMException('The WebSocketStream is closed', 'InvalidStateError'));
      } else this.#ending.resolve();
      this.#closed.resolve({ closeCode: code, reason });
      return;
    }
    // 7.
    const error = createWebSocketError('The WebSocket connection did not close cleanly', code, reason);
    this.#receiving?.end(error);
    if (this.#ending === undefined) {
      this.#writable?.error(error);
      this.#settleWriting()?.reject(error);
    } else this.#ending.reject(error);
    this.#closed.reject(error);
  }

  /** https://whatpr.org/websockets/48.html#write */
  #write(chunk: unknown): Promise<void> | undefined {
    let data: string | Uint8Array;
    if (typeof chunk === 'string') data = chunk;
    else data = isBufferSource(chunk) ? BufferSource(chunk, 'chunk') : USVString(chunk, 'chunk');
    if (this.#readyState !== OPEN) return undefined;
    if (typeof data === 'string') this.#sending.text(data);
    else this.#sending.binary(data);
    if (this.#sending.bufferedAmount <= SEND_BUFFER) return undefined;
    const taken = new Promise<void>((resolve, reject) => {
      this.#writing = { resolve, reject };
    });
    this.#holdOrLetGo();
    return taken;
  }

  #bufferFell(): void {
    if (this.#writing === undefined || this.#isUnsent) return;
    if (this.#sending.bufferedAmount <= SEND_BUFFER) this.#settleWriting()?.resolve();
  }

  #settleWriting(): Settle | undefined {
    const writing = this.#writing;
    this.#writing = undefined;
    this.#holdOrLetGo();
    return writing;
  }

  /** The close algorithm of the writable stream: done when the connection is closed. */
  #closeWritable(): Promise<void> {
    this.#closeTheWebSocket(undefined, '');
    const ended = new Promise<void>((resolve, reject) => {
      this.#ending = { resolve, reject };
    });
    this.#holdOrLetGo();
    return ended;
  }

  /** https://whatpr.org/websockets/48.html#close-using-reason */
  #closeUsingReason(value: unknown): void {
    // 1. to 3.
    const { code, reason } = closeInfoOf(value);
    // 4.
    try {
      validateCloseCodeAndReason(code, reason);
    } catch {
      // An error that a connection made may have what a script may not say: a peer's 1001, for example.
      this.#closeTheWebSocket(undefined, '');
      return;
    }
    this.#closeTheWebSocket(code, reason);
  }

  /** https://whatpr.org/websockets/48.html#close-the-websocket, step 4. */
  #closeTheWebSocket(code: number | undefined, reason: string): void {
    switch (this.#readyState) {
      case CLOSING:
      case CLOSED:
        return;
      case CONNECTING:
        this.#readyState = CLOSING;
        this.#connection.abort();
        return;
      case OPEN:
        this.#readyState = CLOSING;
        // A message that is not handled yet is not handled any more.
        this.#receiving?.discard();
        this.#sending.close(codeOrNormal(code, reason), reason);
    }
  }

  /** Held while a promise is watched that is not settled: nothing else would keep what waits for it. */
  #holdOrLetGo(): void {
    const isAwaited =
      this.#isClosedWatched ||
      (this.#isOpenedWatched && !this.#wasEverConnected) ||
      this.#receiving?.isWanted ||
      this.#writing !== undefined ||
      this.#ending !== undefined;
    if (isAwaited) this.#registration?.hold();
    else this.#registration?.letGo();
  }
}

function illegalInvocation(): Promise<never> {
  return Promise.reject(new TypeError('Illegal invocation: not a WebSocketStream'));
}

defineInterface(WebSocketStream, { constructorLength: 1, lengths: { close: 0 } });
defineNodeMembers(WebSocketStream, {
  shown,
  // How it ended is for those who ask.
  ended: (stream) => stream.closed.catch(() => {}),
});
