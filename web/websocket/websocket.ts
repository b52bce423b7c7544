// WebSocket, the client's and the server's. https://websockets.spec.whatwg.org/#the-websocket-interface

import { setImmediate as setRealImmediate } from 'node:timers';
import { isBadPort } from '../bad-port.js';
import { DOMException, fromNative } from '../errors.js';
import { defineEventHandlers, Event, EventTarget, onListenersChanged, trusted } from '../event-target.js';
import { hub, type Registration } from '../hub.js';
import { MessageEvent } from '../message-event.js';
import { defineNodeMembers } from '../node-members.js';
import type { Payload } from '../payload.js';
import {
  BufferSource,
  DOMString,
  defineInterface,
  isBufferSource,
  requireArguments,
  USVString,
  unsignedShort,
} from '../webidl.js';
import { codeOrNormal, validateCloseCodeAndReason } from './close-info.js';
import { ABORTED, BLOCKED_PORT, type Cause, publishClose, publishError, publishOpen } from './diagnostics.js';
import { CloseEvent, PingEvent } from './events.js';
import {
  ABNORMAL,
  type Connection,
  FAILED,
  NO_CONNECTION,
  WAS_CLEAN,
  WebSocketConnection,
  WebSocketEvent,
} from './native.js';
import { convertArguments } from './options.js';
import { Sending } from './sending.js';

const { Open, Text, Binary, Drained, Ping, Pong, Closing, Closed, Failed } = WebSocketEvent;

const { Blob } = globalThis;
const { dispatchEvent } = EventTarget.prototype;

const CONNECTING = 0;
export const OPEN = 1;
const CLOSING = 2;
export const CLOSED = 3;

const MAX_PING_BYTES = 125;

const clampedShort = unsignedShort('clamp');

/** Which listeners a socket has, as bits. */
const HEARS: Readonly<Record<string, number>> = { open: 1, message: 2, error: 4, close: 8, ping: 16, pong: 32 };
/** Listeners that keep a socket from being collected, by its state. https://websockets.spec.whatwg.org/#garbage-collection */
const KEPT_BY = [1 | 2 | 4 | 8, 2 | 4 | 8 | 16 | 32, 4 | 8, 0] as const;

type BinaryType = 'blob' | 'arraybuffer' | 'nodebuffer';

/** What a server gives an accepted socket: its connection is made at once. */
interface Acceptance {
  readonly url: string;
  connect(hub: object, id: number): Connection;
  opened(socket: WebSocket): void;
  closed(socket: WebSocket): void;
}

/** Makes the socket of a request that a server has accepted. */
export let acceptSocket: (acceptance: Acceptance) => WebSocket;
/** Ends a socket without a closing handshake. */
export let terminateSocket: (socket: WebSocket) => void;
/** Whether a broadcast can be handed down for a socket now; otherwise it is to be sent on it by itself. */
export let clearsWay: (socket: WebSocket) => boolean;
/** The network has not taken all of a broadcast for this socket. */
export let queuedForAll: (socket: WebSocket, bytes: number) => void;
/** Why a socket that a server has accepted will fail, for the operator. */
export let explainFailure: (socket: WebSocket, cause: Cause) => void;
/** Closes a server's socket with a code that a script may not use. */
export let dismissSocket: (socket: WebSocket, code: number, reason: string) => void;

/** Whether it is one of the class, and not only of its shape. */
let isSocket: (value: object) => boolean;

export class WebSocket extends EventTarget {
  /** Of the socket that is being made for a server. */
  static #accepting: Acceptance | undefined;
  /** Where the realm does not tell of listeners, a socket is always held. */
  // `this`, since the class has no name yet that the compiled script could use.
  static readonly #knowsListeners = onListenersChanged(this, (socket, type, count) => {
    const bit = HEARS[type];
    if (bit === undefined) return;
    if (count > 0) socket.#hears |= bit;
    else socket.#hears &= ~bit;
    socket.#holdOrLetGo();
  });

  static {
    isSocket = (value) => #registration in value;
    acceptSocket = (acceptance) => {
      WebSocket.#accepting = acceptance;
      return new WebSocket(acceptance.url);
    };
    terminateSocket = (socket) => socket.#connection?.abort();
    clearsWay = (socket) => socket.#buffered.clearsWay();
    queuedForAll = (socket, bytes) => socket.#buffered.queued(bytes);
    explainFailure = (socket, cause) => {
      socket.#cause = cause;
    };
    dismissSocket = (socket, code, reason) => {
      if (socket.#readyState === OPEN) socket.#startClosing(code, reason);
    };
  }

  readonly #registration: Registration;
  readonly #url: string;
  readonly #origin: string;
  readonly #acceptance: Acceptance | undefined;
  #connection: Connection | undefined;
  #sending: Sending | undefined;
  #readyState: 0 | 1 | 2 | 3 = CONNECTING;
  #established = false;
  #protocol = '';
  #extensions = '';
  #binaryType: BinaryType = 'blob';
  #hears = 0;
  #cause: Cause | undefined;
  /** Ends the interest in the option `signal`. */
  #unfollow: (() => void) | undefined;

  constructor(url: string | URL, protocols: unknown = undefined) {
    super();
    const acceptance = WebSocket.#accepting;
    WebSocket.#accepting = undefined;
    this.#acceptance = acceptance;
    if (acceptance !== undefined) {
      this.#url = acceptance.url;
      this.#origin = new URL(acceptance.url).origin;
      this.#registration = hub.register(this, WebSocket.#dispatch);
      this.#connect((id) => acceptance.connect(hub.native, id));
      return;
    }
    // biome-ignore lint/complexity/noArguments: Web IDL counts the arguments that were given.
    requireArguments(arguments, 1, 'WebSocket constructor');
    // 1. to 8.
    const { record, destination, lookup, signal } = convertArguments(USVString(url, 'url'), protocols);
    // 9.
    this.#url = record.href;
    this.#origin = record.origin;
    this.#registration = hub.register(this, WebSocket.#dispatch);
    // 11. 12. Establish a WebSocket connection.
    if (isBadPort(destination.port)) this.#failWithoutDialling(BLOCKED_PORT);
    else if (signal?.aborted) this.#failWithoutDialling(ABORTED);
    else {
      const connection = this.#connect((id) => new WebSocketConnection(hub.native, id, destination));
      if (signal !== undefined) this.#follow(signal);
      lookup?.(connection);
    }
    this.#holdOrLetGo();
  }

  get url(): string {
    return this.#url;
  }

  get readyState(): 0 | 1 | 2 | 3 {
    return this.#readyState;
  }

  get bufferedAmount(): number {
    return this.#buffered.bufferedAmount;
  }

  get extensions(): string {
    return this.#extensions;
  }

  get protocol(): string {
    return this.#protocol;
  }

  /** https://websockets.spec.whatwg.org/#dom-websocket-close */
  close(code: number | undefined = undefined, reason: string | undefined = undefined): void {
    if (!(#readyState in this)) throw new TypeError('Illegal invocation: not a WebSocket');
    const converted = code === undefined ? undefined : clampedShort(code, 'code');
    const text = reason === undefined ? '' : USVString(reason, 'reason');
    // 1. 2.
    validateCloseCodeAndReason(converted, text);
    // 3.
    switch (this.#readyState) {
      case CLOSING:
      case CLOSED:
        return;
      case CONNECTING:
        this.#giveUp();
        return;
      case OPEN:
        this.#startClosing(codeOrNormal(converted, text), text);
    }
  }

  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(value: BinaryType) {
    // Reading it checks the object, also for a value that is then ignored, since the enumeration lacks it.
    const before = this.#binaryType;
    const converted = DOMString(value, 'binaryType');
    const known = converted === 'blob' || converted === 'arraybuffer' || converted === 'nodebuffer';
    this.#binaryType = known ? converted : before;
  }

  /** https://websockets.spec.whatwg.org/#dom-websocket-send */
  send(data: string | ArrayBufferView<ArrayBuffer> | ArrayBuffer | Blob): void {
    let converted: string | Uint8Array | Blob;
    if (typeof data === 'string') {
      // What is not well-formed becomes U+FFFD when it is encoded.
      converted = data;
    } else {
      // biome-ignore lint/complexity/noArguments: Web IDL counts the arguments that were given.
      requireArguments(arguments, 1, 'send');
      if (isBufferSource(data)) converted = BufferSource(data, 'data');
      else converted = data instanceof Blob ? data : USVString(data, 'data');
    }
    // 1.
    if (this.#readyState === CONNECTING)
      throw new DOMException('The WebSocket is still connecting', 'InvalidStateError');
    // 2. to 4. Send, or count what can't be sent.
    const sending = this.#buffered;
    if (this.#readyState !== OPEN) sending.discard(converted);
    else if (typeof converted === 'string') sending.text(converted);
    else if (converted instanceof Uint8Array) sending.binary(converted);
    else sending.blob(converted);
  }

  /** Sends a ping of up to 125 bytes; the peer answers with a `pong` event of the same bytes. */
  ping(data: string | ArrayBufferView<ArrayBuffer> | ArrayBuffer | undefined = undefined): void {
    let bytes: Uint8Array;
    if (data === undefined) bytes = new Uint8Array(0);
    else bytes = isBufferSource(data) ? BufferSource(data, 'data') : Buffer.from(USVString(data, 'data'), 'utf8');
    if (bytes.length > MAX_PING_BYTES) {
      throw new DOMException(`A ping has at most ${MAX_PING_BYTES} bytes`, 'SyntaxError');
    }
    if (this.#readyState === CONNECTING)
      throw new DOMException('The WebSocket is still connecting', 'InvalidStateError');
    if (this.#readyState === OPEN) this.#buffered.ping(bytes);
  }

  /** Keeps the process alive while the socket is open (the default). */
  ref(): void {
    this.#registration.ref();
  }

  /** Lets the process end although the socket is open. */
  unref(): void {
    this.#registration.unref();
  }

  get #buffered(): Sending {
    this.#sending ??= new Sending(NO_CONNECTION);
    return this.#sending;
  }

  #connect<Made extends Connection>(make: (id: number) => Made): Made {
    let connection: Made;
    try {
      connection = make(this.#registration.id);
    } catch (error) {
      this.#registration.close();
      throw fromNative(error);
    }
    this.#connection = connection;
    this.#sending = new Sending(connection);
    return connection;
  }

  /** Until the connection is established, the signal fails it. */
  #follow(signal: AbortSignal): void {
    const abort = () => this.#giveUp();
    signal.addEventListener('abort', abort);
    this.#unfollow = () => signal.removeEventListener('abort', abort);
  }

  /** "Fail the WebSocket connection", while it is being established. */
  #giveUp(): void {
    this.#readyState = CLOSING;
    this.#connection?.abort();
    this.#holdOrLetGo();
  }

  #failWithoutDialling(cause: Cause): void {
    this.#cause = cause;
    setRealImmediate(() => this.#closed(ABNORMAL, FAILED, ''));
  }

  #startClosing(code: number | undefined, reason: string): void {
    this.#readyState = CLOSING;
    this.#buffered.close(code, reason);
    this.#holdOrLetGo();
  }

  #holdOrLetGo(): void {
    const kept = KEPT_BY[this.#readyState] & this.#hears;
    if (kept !== 0 || !WebSocket.#knowsListeners) this.#registration.hold();
    else this.#registration.letGo();
  }

  static #dispatch(socket: WebSocket, kind: number, a: number, b: number, payload: Payload): void {
    if (kind === Text) {
      if (socket.#readyState === OPEN) socket.#message(payload.text());
    } else if (kind === Binary) {
      if (socket.#readyState === OPEN) socket.#message(socket.#binary(payload));
    } else if (kind === Drained) {
      socket.#buffered.drained(a + b * 2 ** 32);
    } else if (kind === Open) {
      socket.#opened(payload.text());
    } else if (kind === Closing) {
      if (socket.#readyState === OPEN) socket.#readyState = CLOSING;
      socket.#buffered.acknowledge();
      socket.#holdOrLetGo();
    } else if (kind === Closed) {
      socket.#closed(a, b, payload.text());
    } else if (kind === Failed) {
      socket.#cause = { number: a, text: payload.text() };
    } else if (kind === Ping) {
      if (socket.#readyState === OPEN) dispatchEvent.call(socket, trusted(new PingEvent('ping', payload.bytes())));
    } else if (kind === Pong) {
      if (socket.#readyState === OPEN) dispatchEvent.call(socket, trusted(new PingEvent('pong', payload.bytes())));
    }
  }

  /** "When the WebSocket connection is established" */
  #opened(agreed: string): void {
    // A close() while the last message of the handshake was on its way has failed the connection.
    if (this.#readyState !== CONNECTING) return;
    this.#readyState = OPEN;
    this.#unfollow?.();
    this.#established = true;
    const [protocol = '', extensions = ''] = agreed.split('\0');
    this.#extensions = extensions;
    this.#protocol = protocol;
    this.#holdOrLetGo();
    this.#acceptance?.opened(this);
    publishOpen(this, this.#protocol, this.extensions);
    dispatchEvent.call(this, trusted(new Event('open')));
  }

  /** "When a WebSocket message has been received" */
  #message(data: unknown): void {
    if ((this.#hears & 2) !== 0 || !WebSocket.#knowsListeners) {
      dispatchEvent.call(this, new MessageEvent(data, this.#origin));
    }
  }

  #binary(payload: Payload): unknown {
    switch (this.#binaryType) {
      case 'blob':
        return new Blob([payload.bytes()]);
      case 'arraybuffer':
        return payload.arrayBuffer();
      case 'nodebuffer':
        return payload.buffer();
    }
  }

  /** "When the WebSocket connection is closed" */
  #closed(code: number, flags: number, reason: string): void {
    // 1.
    this.#readyState = CLOSED;
    this.#unfollow?.();
    this.#buffered.acknowledge();
    this.#registration.close();
    this.#acceptance?.closed(this);
    const fire = () => this.#fireClosed(code, flags, reason);
    // The script of a server has this socket only now; give it the time to listen.
    if (this.#acceptance !== undefined && !this.#established) setRealImmediate(fire);
    else fire();
  }

  #fireClosed(code: number, flags: number, reason: string): void {
    const wasClean = (flags & WAS_CLEAN) !== 0;
    // 2. A close() before the opening is a failure as well.
    if (!this.#established || (flags & FAILED) !== 0) {
      publishError(this, this.#cause);
      dispatchEvent.call(this, trusted(new Event('error')));
    }
    // 3.
    publishClose(this, code, reason, wasClean);
    dispatchEvent.call(this, trusted(new CloseEvent('close', { wasClean, code, reason })));
  }
}

defineInterface(WebSocket, {
  constants: { CONNECTING, OPEN, CLOSING, CLOSED },
  lengths: { close: 0, send: 1 },
  constructorLength: 1,
});
defineEventHandlers(WebSocket, ['open', 'error', 'close', 'message'], isSocket);
defineNodeMembers(WebSocket, {
  shown: ({ url, readyState, protocol, extensions, binaryType, bufferedAmount }) => ({
    url,
    readyState: ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'][readyState],
    protocol,
    extensions,
    binaryType,
    bufferedAmount,
  }),
  ended: (socket) =>
    new Promise<unknown>((resolve) => {
      if (socket.readyState === CLOSED) resolve(undefined);
      else socket.addEventListener('close', resolve, { once: true });
    }),
});
