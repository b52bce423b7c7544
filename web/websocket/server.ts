// WebSocketServer: its requests and its sockets, on a listener of its own or behind Node's http server. No standard has
// one; the shape is that of WebTransportServer.

import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { clearTimeout as clearRealTimeout, setTimeout as setRealTimeout } from 'node:timers';
import { native } from '../binding.js';
import { DOMException, exception, fromNative } from '../errors.js';
import { defineEventHandlers, Event, EventTarget, onListenersChanged } from '../event-target.js';
import { hub, type Payload, type Registration } from '../hub.js';
import { ReadableStream } from '../streams.js';
import { defineInterface, requireArguments } from '../webidl.js';
import type { Connection } from './native.js';
import {
  type Answering,
  createRequest,
  endRequest,
  parseHead,
  type RequestHead,
  type WebSocketRequest,
} from './request.js';
import { closeOptions, convertServerOptions, type ListenerOptions } from './server-options.js';
import { type Adopting, refuse, takeOver } from './upgrade.js';
import { acceptSocket, CLOSED, dismissSocket, terminateSocket, type WebSocket } from './websocket.js';

interface Listener extends Adopting {
  accept(hub: object, id: number, request: number, protocol: string | undefined, headers: string[]): Connection;
  reject(request: number, status: number, headers: string[], body: Uint8Array): void;
  close(): void;
}

const { WebSocketListener, WebSocketListenerEvent } = native<{
  WebSocketListener: new (hub: object, id: number, options: ListenerOptions) => Listener;
  WebSocketListenerEvent: Record<'Listening' | 'Request' | 'RequestGone' | 'Closed', number>;
}>();
const { Listening, Request, RequestGone, Closed } = WebSocketListenerEvent;

const { dispatchEvent } = EventTarget.prototype;

const GOING_AWAY = 1001;
const NOT_FOUND = 404;
const SERVICE_UNAVAILABLE = 503;
const CLOSING_ANSWER = Buffer.from(
  'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
);

/** The event of a client that was accepted without being asked for. */
export class WebSocketConnectionEvent extends Event {
  readonly #socket: WebSocket;
  readonly #request: WebSocketRequest;

  constructor(socket: WebSocket, request: WebSocketRequest) {
    super('connection');
    this.#socket = socket;
    this.#request = request;
  }

  get socket(): WebSocket {
    return this.#socket;
  }

  get request(): WebSocketRequest {
    return this.#request;
  }
}

export interface Address {
  address: string;
  family: 'IPv4' | 'IPv6' | 'Unix';
  port: number;
}

/** Where Node's server listens: a string for a unix-domain socket or a named pipe. */
function addressOf(server: Server): Address | undefined {
  const address = server.address();
  if (address === null) return undefined;
  if (typeof address === 'string') return { address, family: 'Unix', port: 0 };
  return { ...address, family: address.family === 'IPv4' ? 'IPv4' : 'IPv6' };
}

interface Deferred<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
  readonly reject: (reason: unknown) => void;
}

/** `Promise.withResolvers`, which Node 20 lacks. */
function deferred<Value>(): Deferred<Value> {
  let resolve: (value: Value) => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<Value>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}

export class WebSocketServer extends EventTarget {
  // `this`, since the class has no name yet that the compiled script could use.
  static readonly #knowsListeners = onListenersChanged(this, (server, type, count) => {
    if (type !== 'connection') return;
    server.#heard = count > 0;
    server.#next();
  });

  readonly #registration: Registration;
  readonly #listener: Listener;
  readonly #ready = deferred<void>();
  readonly #closed = deferred<void>();
  #address: Address | undefined;
  #closing = false;
  #ended = false;
  #heard = false;
  /** Requests that nobody has taken yet, in order. */
  readonly #queue: WebSocketRequest[] = [];
  /** Requests that are not answered, by number. */
  readonly #unanswered = new Map<number, WebSocketRequest>();
  /** Sockets that are not closed, by number. A socket that is collected takes itself off. */
  readonly #sockets = new Map<number, WeakRef<WebSocket>>();
  readonly #collected = new FinalizationRegistry<number>((number) => this.#socketEnded(number));
  /** Somebody decides on each request. */
  #asked = false;
  #stream: ReadableStream<WebSocketRequest> | undefined;
  #controller: ReadableStreamDefaultController<WebSocketRequest> | undefined;
  #wanted: (() => void) | undefined;

  readonly #path: string | undefined;
  readonly #attachedTo: Server | undefined;
  readonly #upgraded = (request: IncomingMessage, socket: Duplex, head: Uint8Array) =>
    this.#requestFrom(request, socket, head);

  constructor(options: object | undefined = undefined) {
    super();
    const { listener, attachTo, path } = convertServerOptions(options ?? {});
    this.#path = path;
    this.#attachedTo = attachTo;
    this.#registration = hub.register(this, WebSocketServer.#dispatch);
    try {
      this.#listener = new WebSocketListener(hub.native, this.#registration.id, listener);
    } catch (error) {
      this.#registration.close();
      throw fromNative(error);
    }
    this.#heard = !WebSocketServer.#knowsListeners;
    if (listener.port === undefined) this.#standBehind(attachTo);
  }

  /** Fulfilled when it listens; rejected with the system's error. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Where it listens. */
  address(): Address {
    const address = this.#attachedTo === undefined || this.#closing ? this.#address : addressOf(this.#attachedTo);
    if (address === undefined) throw new DOMException('The server does not listen', 'InvalidStateError');
    return { ...address };
  }

  /** The opening handshakes, each to be accepted or rejected. Once asked for, no request is accepted by itself. */
  get incomingRequests(): ReadableStream<WebSocketRequest> {
    this.#asked = true;
    this.#stream ??= new ReadableStream<WebSocketRequest>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () =>
          new Promise<void>((resolve) => {
            this.#wanted = resolve;
            this.#next();
          }),
        // What comes later waits for the next reader.
        cancel: () => {
          this.#stream = undefined;
          this.#controller = undefined;
          this.#wanted = undefined;
        },
      },
      { highWaterMark: 0 },
    );
    if (this.#ended) this.#closeStream();
    return this.#stream;
  }

  /**
   * Takes over an upgrade of Node's http server, from its event `upgrade`. The request is to be accepted or rejected as
   * any other. `undefined` when it can't be: it is no valid handshake and has been answered so, or its client has gone.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): WebSocketRequest | undefined {
    // biome-ignore lint/complexity/noArguments: Web IDL counts the arguments that were given.
    requireArguments(arguments, 3, 'handleUpgrade');
    if (this.#closing) return refuse(socket, CLOSING_ANSWER);
    const taken = takeOver(this.#listener, request, socket, head);
    if (taken === undefined) return undefined;
    const made = createRequest(this.#answering, taken.number, taken.head);
    this.#unanswered.set(taken.number, made);
    return made;
  }

  /** Stops listening, closes all sockets, and ends those that are left after `timeoutMs`. */
  close(options: unknown = undefined): Promise<void> {
    const { timeoutMs } = closeOptions(options, 'options');
    if (this.#closing) return this.#closed.promise;
    this.#closing = true;
    for (const [number, request] of this.#unanswered) {
      this.#listener.reject(number, SERVICE_UNAVAILABLE, [], new Uint8Array(0));
      endRequest(request);
    }
    this.#unanswered.clear();
    this.#queue.length = 0;
    this.#attachedTo?.off('upgrade', this.#upgraded);
    this.#listener.close();
    for (const socket of this.#open()) dismissSocket(socket, GOING_AWAY);
    const timer = setRealTimeout(() => {
      for (const socket of this.#open()) terminateSocket(socket);
    }, timeoutMs);
    return this.#closed.promise.finally(() => clearRealTimeout(timer));
  }

  /** Keeps the process alive while the server listens (the default). */
  ref(): void {
    this.#registration.ref();
  }

  /** Lets the process end although the server listens. */
  unref(): void {
    this.#registration.unref();
  }

  static #dispatch(server: WebSocketServer, kind: number, a: number, b: number, payload: Payload): void {
    if (kind === Request) {
      server.#requested(a, parseHead(payload.text(), b !== 0));
    } else if (kind === RequestGone) {
      const request = server.#unanswered.get(a);
      server.#unanswered.delete(a);
      if (request !== undefined) {
        const index = server.#queue.indexOf(request);
        if (index !== -1) server.#queue.splice(index, 1);
        endRequest(request);
      }
    } else if (kind === Listening) {
      server.#address = { address: payload.text(), family: b === 4 ? 'IPv4' : 'IPv6', port: a };
      server.#ready.resolve();
    } else if (kind === Closed) {
      server.#listenerEnded(payload.text());
    }
  }

  readonly #answering: Answering = {
    accept: (number, url, protocol, headers) => this.#accept(number, url, protocol, headers),
    reject: (number, status, headers, body) => {
      this.#unanswered.delete(number);
      this.#listener.reject(number, status, headers, body);
    },
  };

  /** Without a listener of its own it hears nothing by itself, and lives as long as somebody has it. */
  #standBehind(server: Server | undefined): void {
    this.#registration.unref();
    this.#registration.letGo();
    if (server === undefined) {
      this.#ready.resolve();
      return;
    }
    server.on('upgrade', this.#upgraded);
    if (server.listening) this.#ready.resolve();
    else server.once('listening', () => this.#ready.resolve());
  }

  /** An upgrade of the server that this one is attached to. */
  #requestFrom(request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    // Another listener may serve that path.
    const others = (this.#attachedTo?.listenerCount('upgrade') ?? 0) > 1;
    if (others && !this.#serves(request.url ?? '')) return;
    const made = this.handleUpgrade(request, socket, head);
    if (made !== undefined) this.#offer(made);
  }

  #requested(number: number, head: RequestHead): void {
    if (this.#closing) return;
    const request = createRequest(this.#answering, number, head);
    this.#unanswered.set(number, request);
    this.#offer(request);
  }

  #serves(target: string): boolean {
    return this.#path === undefined || target.split('?', 1)[0] === this.#path;
  }

  #offer(request: WebSocketRequest): void {
    if (!this.#serves(request.url)) {
      request.reject(NOT_FOUND);
      return;
    }
    this.#queue.push(request);
    this.#next();
  }

  /** Gives what waits to whoever wants it: the stream's reader or, the short way, the listeners for `connection`. */
  #next(): void {
    if (this.#asked) {
      const request = this.#wanted && this.#queue.shift();
      if (request === undefined) return;
      this.#controller?.enqueue(request);
      this.#wanted?.();
      this.#wanted = undefined;
    } else if (this.#heard) {
      for (const request of this.#queue.splice(0)) this.#acceptAtOnce(request);
    }
  }

  #acceptAtOnce(request: WebSocketRequest): void {
    request.accept().then((socket) => {
      // If the client has gone before it was told, there is no connection to speak of.
      if (socket.readyState === CLOSED) return;
      dispatchEvent.call(this, new WebSocketConnectionEvent(socket, request));
    });
  }

  #accept(number: number, url: string, protocol: string | undefined, headers: string[]): Promise<WebSocket> {
    this.#unanswered.delete(number);
    const { promise, resolve } = deferred<WebSocket>();
    const socket = acceptSocket({
      // A Host header that no URL can have is the client's affair.
      url: URL.canParse(url) ? url : 'ws://invalid/',
      connect: (native, id) => this.#listener.accept(native, id, number, protocol, headers),
      opened: (open) => {
        resolve(open);
        if (this.#closing) dismissSocket(open, GOING_AWAY);
      },
      closed: (closed) => {
        this.#socketEnded(number);
        resolve(closed);
      },
    });
    this.#sockets.set(number, new WeakRef(socket));
    this.#collected.register(socket, number);
    return promise;
  }

  #socketEnded(number: number): void {
    this.#sockets.delete(number);
    this.#endIfDone();
  }

  *#open(): Generator<WebSocket> {
    for (const reference of [...this.#sockets.values()]) {
      const socket = reference.deref();
      if (socket !== undefined) yield socket;
    }
  }

  #listenerEnded(error: string): void {
    this.#registration.close();
    this.#ended = true;
    this.#closing = true;
    this.#address = undefined;
    if (error !== '') this.#ready.reject(exception('SystemError', error));
    else {
      // Nobody has to wait for a server that was closed on purpose.
      this.#ready.promise.catch(() => {});
      this.#ready.reject(new DOMException('The server was closed', 'AbortError'));
    }
    this.#closeStream();
    this.#endIfDone();
  }

  #closeStream(): void {
    if (this.#controller === undefined) return;
    this.#controller.close();
    this.#controller = undefined;
    this.#wanted?.();
  }

  #endIfDone(): void {
    if (this.#ended && this.#sockets.size === 0) this.#closed.resolve();
  }
}

defineInterface(WebSocketServer, { constructorLength: 0, lengths: { close: 0 } });
defineEventHandlers(WebSocketServer, ['connection']);
