// WebSocket as `ws` has it: an EventEmitter over the native connection.
// https://github.com/websockets/ws/blob/master/doc/ws.md#class-websocket

import { EventEmitter } from 'node:events';
import { nextTick } from 'node:process';
import { fromNative } from '../errors.js';
import { hub, type Registration } from '../hub.js';
import type { Payload } from '../payload.js';
import { type Cause, publishClose, publishError, publishOpen } from '../websocket/diagnostics.js';
import {
  ABNORMAL,
  type Connection,
  FAILED,
  WAS_CLEAN,
  WebSocketConnection,
  WebSocketEvent,
} from '../websocket/native.js';
import { type ClientOptions, convertAddress } from './address.js';
import { AnswerSocket, type Asked, upgradeResponse } from './answer.js';
import { isBlob, numberAsText, toBytes, toCallback, toControlBytes, toMessage, toReason } from './data.js';
import { frameError, handshakeError } from './errors.js';
import { addListener, attribute, removeListener, setAttribute } from './events.js';
import { Sender, type SendOptions, type Written } from './sender.js';

const { Open, Text, Binary, Drained, Ping, Pong, Closing, Closed, Failed, Answer } = WebSocketEvent;
const { Blob } = globalThis;

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
const STATES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'] as const;

const DEFAULTS: SendOptions = {};

const BINARY_TYPES = ['nodebuffer', 'arraybuffer', 'fragments', 'blob'] as const;
type BinaryType = (typeof BINARY_TYPES)[number];

/** A connection that a server has accepted. */
export interface Acceptance {
  readonly protocol: string;
  readonly extensions: string;
  /** For the operator; the socket has none. */
  readonly url: string;
  connect(hub: object, id: number): Connection;
}

/** Gives the socket that a server has made its connection; it is open at once. */
export let acceptConnection: (socket: WebSocket, acceptance: Acceptance) => void;

const wasClean = (socket: WebSocket): boolean => isClean(socket);
let isClean: (socket: WebSocket) => boolean;

export class WebSocket extends EventEmitter {
  static {
    acceptConnection = (socket, { protocol, extensions, url, connect }) => {
      socket.#requestURL = url;
      socket.#protocol = protocol;
      socket.#extensions = extensions;
      socket.#connect(connect);
      socket.#established = true;
      socket.#readyState = OPEN;
    };
    isClean = (socket) => socket.#wasClean;
  }

  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSING: 2;
  declare readonly CLOSED: 3;

  #registration: Registration | undefined;
  #connection: Connection | undefined;
  #sender: Sender | undefined;
  #url: string | undefined;
  /** Of a server's socket. */
  #requestURL: string | undefined;
  #readyState: 0 | 1 | 2 | 3 = CONNECTING;
  #established = false;
  #protocol = '';
  #extensions = '';
  #binaryType: BinaryType = 'nodebuffer';
  #isPaused = false;
  #wasClean = false;
  #cause: Cause | undefined;
  /** What the script's `lookup` has failed with. */
  #lookupFailure: (() => Error | undefined) | undefined;
  /** Why the script gave the opening up. */
  #given: Error | undefined;
  /** What a client has asked its server, until that has answered. */
  #asked: Asked | undefined;
  /** An answer that opens no connection, and that the script hears: the script then says when the socket is closed. */
  #answer: AnswerSocket | undefined;
  /** The connection has ended, and with it that answer. */
  #isAnswerOver = false;

  /** `address` is null for a server's socket, which gets its connection later. */
  constructor(address: unknown, protocols?: unknown, options?: ClientOptions) {
    super();
    if (address === null) return;
    const { record, destination, lookup, lookupFailure } = convertAddress(address, protocols, options);
    this.#url = record.href;
    this.#lookupFailure = lookupFailure;
    this.#asked = { host: destination.authority, path: destination.target, headers: destination.headers };
    this.#connect((native, id) => {
      const connection = new WebSocketConnection(native, id, destination);
      lookup?.(connection);
      return connection;
    });
  }

  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(value: BinaryType) {
    if (BINARY_TYPES.includes(value)) this.#binaryType = value;
  }

  get bufferedAmount(): number {
    return this.#sender?.bufferedAmount ?? 0;
  }

  get extensions(): string {
    return this.#extensions;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get protocol(): string {
    return this.#protocol;
  }

  get readyState(): 0 | 1 | 2 | 3 {
    return this.#readyState;
  }

  get url(): string | undefined {
    return this.#url;
  }

  get onopen(): unknown {
    return attribute(this, 'open');
  }

  set onopen(handler: unknown) {
    setAttribute(this, 'open', handler, wasClean);
  }

  get onmessage(): unknown {
    return attribute(this, 'message');
  }

  set onmessage(handler: unknown) {
    setAttribute(this, 'message', handler, wasClean);
  }

  get onerror(): unknown {
    return attribute(this, 'error');
  }

  set onerror(handler: unknown) {
    setAttribute(this, 'error', handler, wasClean);
  }

  get onclose(): unknown {
    return attribute(this, 'close');
  }

  set onclose(handler: unknown) {
    setAttribute(this, 'close', handler, wasClean);
  }

  addEventListener(type: string, handler: unknown, options: { once?: boolean | undefined } = {}): void {
    addListener(this, type, handler, options, wasClean);
  }

  removeEventListener(type: string, handler: unknown): void {
    removeListener(this, type, handler);
  }

  /** Begins the closing handshake. Throws TypeError and RangeError for what a Close frame cannot hold. */
  close(code?: number, data?: string | Uint8Array): void {
    if (this.#readyState === CONNECTING) this.#giveUp();
    if (this.#readyState !== OPEN) return;
    if (code !== undefined && !isCloseCode(code)) {
      throw new TypeError('First argument must be a valid error code number');
    }
    const reason = code === undefined ? '' : toReason(data);
    this.#readyState = CLOSING;
    this.#sender?.close(code, reason);
  }

  /** Ends the connection without a closing handshake. */
  terminate(): void {
    if (this.#readyState === CONNECTING) this.#giveUp();
    if (this.#readyState === CLOSED) return;
    this.#readyState = CLOSING;
    this.#sender?.abort();
  }

  /** `written` is called when the network has taken the message, or with the reason why it can't. */
  send(data: unknown, options?: SendOptions | Written | null, written?: Written): void {
    this.#requireOpened();
    const callback = typeof options === 'function' ? options : toCallback(written);
    const given = typeof options === 'object' && options !== null ? options : DEFAULTS;
    const message = toMessage(data);
    if (this.#readyState !== OPEN || this.#sender === undefined) this.#sendAfterClose(message, callback);
    else if (isBlob(message)) this.#sender.blob(message, given, callback);
    else if (typeof message === 'string' && given === DEFAULTS) this.#sender.text(message, callback);
    else this.#sender.message(message, given, callback);
  }

  ping(data?: unknown, mask?: boolean | Written, written?: Written): void {
    this.#control('ping', data, mask, written);
  }

  pong(data?: unknown, mask?: boolean | Written, written?: Written): void {
    this.#control('pong', data, mask, written);
  }

  /** Leaves in the socket what the peer sends; what had been read before is still emitted. */
  pause(): void {
    if (this.#readyState === CONNECTING || this.#readyState === CLOSED) return;
    this.#isPaused = true;
    this.#connection?.pause();
  }

  resume(): void {
    if (this.#readyState === CONNECTING || this.#readyState === CLOSED) return;
    this.#isPaused = false;
    this.#connection?.resume();
  }

  #connect(make: (hub: object, id: number) => Connection): void {
    this.#registration = hub.register(this, WebSocket.#dispatch);
    try {
      this.#connection = make(hub.native, this.#registration.id);
    } catch (error) {
      this.#registration.close();
      throw fromNative(error);
    }
    this.#sender = new Sender(this.#connection);
  }

  #giveUp(error = new Error('WebSocket was closed before the connection was established')): void {
    this.#readyState = CLOSING;
    this.#given = error;
    this.#answer?.destroy();
    if (this.#sender !== undefined && !this.#isAnswerOver) this.#sender.abort();
    else nextTick(() => this.#closed(ABNORMAL, FAILED, ''));
  }

  #requireOpened(): void {
    if (this.#readyState === CONNECTING) throw new Error('WebSocket is not open: readyState 0 (CONNECTING)');
  }

  #sendAfterClose(data: unknown, written: Written | undefined): void {
    if (data) this.#sender?.discard(isBlob(data) || typeof data === 'string' ? data : toBytes(data));
    if (written === undefined) return;
    const state = this.#readyState;
    nextTick(written, new Error(`WebSocket is not open: readyState ${state} (${STATES[state]})`));
  }

  #control(kind: 'ping' | 'pong', first: unknown, second: unknown, third: Written | undefined): void {
    this.#requireOpened();
    const [data, callback] =
      typeof first === 'function'
        ? [undefined, first as Written]
        : [first, typeof second === 'function' ? (second as Written) : toCallback(third)];
    if (this.#readyState !== OPEN) this.#sendAfterClose(numberAsText(data), callback);
    else this.#sender?.[kind](toControlBytes(data), callback);
  }

  static #dispatch(socket: WebSocket, kind: number, a: number, b: number, payload: Payload): void {
    if (kind === Binary) {
      if (socket.#hears) socket.emit('message', socket.#binary(payload), true);
    } else if (kind === Text) {
      if (socket.#hears) socket.emit('message', payload.buffer(), false);
    } else if (kind === Drained) {
      socket.#sender?.drained(a + b * 2 ** 32);
    } else if (kind === Open) {
      socket.#opened(payload.text());
    } else if (kind === Ping) {
      if (socket.#hears) socket.emit('ping', payload.buffer());
    } else if (kind === Pong) {
      if (socket.#hears) socket.emit('pong', payload.buffer());
    } else if (kind === Closing) {
      if (socket.#readyState === OPEN) socket.#readyState = CLOSING;
      socket.#sender?.acknowledge();
    } else if (kind === Answer) {
      socket.#answered(a, payload);
    } else if (kind === Failed) {
      socket.#cause = { number: a, text: payload.text() };
    } else if (kind === Closed) {
      if (socket.#answer !== undefined && socket.#readyState === CONNECTING) socket.#answerEnded(socket.#answer);
      else socket.#closed(a, b, payload.text());
    }
  }

  /** Until the peer's Close frame, also behind a close() of our own. */
  get #hears(): boolean {
    return this.#established && this.#readyState !== CLOSED;
  }

  #opened(agreed: string): void {
    const [protocol = '', extensions = ''] = agreed.split('\0');
    // The name only.
    this.#extensions = /^[^;]*/.exec(extensions)?.[0].trim() ?? '';
    if (this.#sender !== undefined) this.#sender.neverCompresses = this.#extensions === '';
    if (this.#established) publishOpen(this, this.#protocol, extensions, this.#requestURL);
    if (this.#readyState !== CONNECTING) return;
    this.#protocol = protocol;
    this.#established = true;
    this.#readyState = OPEN;
    publishOpen(this, protocol, extensions);
    this.emit('open');
  }

  /** The server has answered with this status; 0 goes on with the answer. */
  #answered(status: number, payload: Payload): void {
    if (this.#readyState !== CONNECTING) return;
    if (status === 101) {
      // A listener may close the socket, which then never opens.
      if (this.listenerCount('upgrade') > 0) this.emit('upgrade', upgradeResponse(payload.buffer().toString('latin1')));
      return;
    }
    const [connection, asked] = [this.#connection, this.#asked];
    if (connection === undefined || asked === undefined) return;
    if (status !== 0 && this.listenerCount('unexpected-response') > 0) {
      this.#answer = new AnswerSocket(connection, asked, {
        heard: (request, response) => this.emit('unexpected-response', request, response),
        failed: (error) => {
          if (this.#readyState === CONNECTING) this.#giveUp(error);
        },
      });
    }
    if (this.#answer === undefined) connection.abort();
    else this.#answer.add(payload.buffer());
  }

  /** `ws` leaves it to the script to close such a socket, which keeps nothing alive any more. */
  #answerEnded(answer: AnswerSocket): void {
    this.#isAnswerOver = true;
    this.#registration?.close();
    answer.add(null);
  }

  #binary(payload: Payload): unknown {
    switch (this.#binaryType) {
      case 'nodebuffer':
        return payload.buffer();
      case 'arraybuffer':
        return payload.arrayBuffer();
      case 'fragments':
        return [payload.buffer()];
      case 'blob':
        return new Blob([payload.bytes()]);
    }
  }

  #closed(code: number, flags: number, reason: string): void {
    this.#readyState = CLOSING;
    this.#wasClean = (flags & WAS_CLEAN) !== 0;
    this.#sender?.acknowledge();
    this.#registration?.close();
    this.#sender?.end(new Error('The connection was closed before the message was written'));
    const error = this.#error(flags);
    if (!this.#established || (flags & FAILED) !== 0) publishError(this, this.#cause, this.#requestURL);
    try {
      if (error !== undefined) this.emit('error', error);
    } finally {
      this.#readyState = CLOSED;
      publishClose(this, code, reason, this.#wasClean, this.#requestURL);
      this.emit('close', code, Buffer.from(reason));
    }
  }

  #error(flags: number): Error | undefined {
    if (this.#given !== undefined) return this.#given;
    if (!this.#established) return this.#lookupFailure?.() ?? handshakeError(this.#cause);
    return (flags & FAILED) !== 0 && this.#cause !== undefined ? frameError(this.#cause) : undefined;
  }
}

/** Codes that a Close frame may have. */
function isCloseCode(code: unknown): boolean {
  if (typeof code !== 'number') return false;
  const registered = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  return registered || (code >= 3000 && code <= 4999);
}

for (const [value, name] of STATES.entries()) {
  const constant = { value, enumerable: true };
  Object.defineProperty(WebSocket, name, constant);
  Object.defineProperty(WebSocket.prototype, name, constant);
}
for (const name of [
  ...['addEventListener', 'removeEventListener', 'binaryType', 'bufferedAmount', 'extensions', 'isPaused'],
  ...['onclose', 'onerror', 'onmessage', 'onopen', 'protocol', 'readyState', 'url'],
]) {
  Object.defineProperty(WebSocket.prototype, name, { enumerable: true });
}
