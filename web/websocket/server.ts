// WebSocketServer: its requests and its sockets, on a listener of its own or behind Node's http server. No standard has
// one; the shape is that of WebTransportServer.

import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { clearTimeout as clearRealTimeout, setTimeout as setRealTimeout } from 'node:timers';
import { native } from '../binding.js';
import { withResolvers } from '../deferred.js';
import { DOMException, exception, fromNative, wordsOf } from '../errors.js';
import { defineEventHandlers, EventTarget, onListenersChanged, trusted } from '../event-target.js';
import { hub, type Registration } from '../hub.js';
import { IncomingRequests } from '../incoming-requests.js';
import { defineNodeMembers } from '../node-members.js';
import type { Payload } from '../payload.js';
import { convertCertificates, type NamedCertificate } from '../server-tls.js';
import { defineInterface, requireArguments } from '../webidl.js';
import { type Broadcasting, broadcast } from './broadcast.js';
import { Sockets, type WebSocketClients } from './clients.js';
import { WebSocketConnectionEvent } from './connection-event.js';
import type { Cause } from './diagnostics.js';
import type { Connection } from './native.js';
import {
  type Answering,
  createRequest,
  endRequest,
  isAnswered,
  parseHead,
  pathOf,
  type RequestHead,
  type WebSocketRequest,
} from './request.js';
import {
  CLOSING,
  HOOK_FAILED,
  NOT_SERVED,
  publishConnection,
  publishListening,
  publishReject,
  publishRequest,
  publishServerClose,
  publishServerError,
  rejected,
  TOO_MANY_CONNECTIONS,
} from './server-diagnostics.js';
import {
  convertCloseOptions,
  convertServerOptions,
  type ListenerOptions,
  type ServerOptions,
} from './server-options.js';
import { isForAnother, join, leave, type Serves } from './siblings.js';
import { type Adopting, isCarrying, refuse, takeOver } from './upgrade.js';
import { acceptSocket, CLOSED, dismissSocket, explainFailure, terminateSocket, type WebSocket } from './websocket.js';

interface Listener extends Adopting, Broadcasting {
  accept(hub: object, id: number, request: number, protocol: string | undefined, headers: string[]): Connection;
  reject(request: number, status: number, headers: string[], body: Uint8Array): void;
  setCertificates(certificates: NamedCertificate[]): void;
  close(): void;
}

const { WebSocketListener, WebSocketListenerEvent } = native<{
  WebSocketListener: new (hub: object, id: number, options: ListenerOptions) => Listener;
  WebSocketListenerEvent: Record<'Listening' | 'Request' | 'RequestGone' | 'Refused' | 'Failed' | 'Closed', number>;
}>();
const { Listening, Request, RequestGone, Refused, Failed, Closed } = WebSocketListenerEvent;

const { dispatchEvent } = EventTarget.prototype;

const GOING_AWAY = 1001;
/** Of a longer time Node's timers make a millisecond. */
const MAX_TIMER_MS = 0x7fffffff;
const SERVICE_UNAVAILABLE = 503;
const UNAVAILABLE = Buffer.from('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');

const FAMILIES: Readonly<Record<number, 'IPv4' | 'IPv6'>> = { 4: 'IPv4', 6: 'IPv6' };

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

/** What is shown of one. */
let shown: (server: WebSocketServer) => object;

export class WebSocketServer extends EventTarget {
  static {
    defineEventHandlers(WebSocketServer, ['connection'], (value) => #registration in value);
    shown = (server) => {
      const { attachTo } = server.#options;
      const listening = attachTo === undefined ? server.#address : addressOf(attachTo);
      const { size } = server.#sockets;
      return {
        state: server.#ended && size === 0 ? 'closed' : server.#closing ? 'closing' : 'open',
        ...(listening === undefined ? {} : { listening }),
        clients: size,
        unanswered: server.#unanswered.size,
      };
    };
  }

  // `this`, since the class has no name yet that the compiled script could use.
  static readonly #knowsListeners = onListenersChanged(this, (server, type, count) => {
    if (type !== 'connection') return;
    server.#incoming.hear(count > 0);
  });

  readonly #registration: Registration;
  readonly #listener: Listener;
  /** A failure that nobody looks at ends the process, as that of Node's servers does. */
  readonly #ready = withResolvers<void>();
  readonly #closed = withResolvers<void>();
  #address: Address | undefined;
  #closing = false;
  #ended = false;
  #isClosed = false;
  /** What the sockets of a closing server are told. */
  #dismissal = { code: GOING_AWAY, reason: '' };
  /** Why the server itself rejects a request, while it does. */
  #refusal: Cause | undefined;
  readonly #incoming = new IncomingRequests<WebSocketRequest>((request) => this.#acceptAtOnce(request));
  /** Requests that are not answered, by number. */
  readonly #unanswered = new Map<number, WebSocketRequest>();
  readonly #sockets = new Sockets(() => this.#endIfDone());
  readonly #options: ServerOptions;
  readonly #serves: Serves = (target) => this.#options.path === undefined || pathOf(target) === this.#options.path;
  readonly #abort = () => void this.close();
  readonly #upgraded = (request: IncomingMessage, socket: Duplex, head: Uint8Array) =>
    this.#requestFrom(request, socket, head);

  constructor(options: object | undefined = undefined) {
    super();
    const converted = convertServerOptions(options ?? {});
    const { listener, attachTo, signal } = converted;
    this.#options = converted;
    this.#registration = hub.register(this, WebSocketServer.#dispatch);
    try {
      this.#listener = new WebSocketListener(hub.native, this.#registration.id, listener);
    } catch (error) {
      this.#registration.close();
      throw fromNative(error);
    }
    if (!WebSocketServer.#knowsListeners) this.#incoming.hear(true);
    if (listener.port === undefined && listener.socketPath === undefined) this.#standBehind(attachTo);
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** Fulfilled when it listens; rejected with the system's error. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Where it listens. */
  address(): Address {
    const { attachTo } = this.#options;
    const address = attachTo === undefined || this.#closing ? this.#address : addressOf(attachTo);
    if (address === undefined) throw new DOMException('The server does not listen', 'InvalidStateError');
    return { ...address };
  }

  /** The opening handshakes, each to be accepted or rejected. Once asked for, no request is accepted by itself. */
  get incomingRequests(): ReadableStream<WebSocketRequest> {
    return this.#incoming.stream;
  }

  /** The same requests: `for await (const request of server)`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<WebSocketRequest> {
    return this.#incoming.stream[Symbol.asyncIterator]();
  }

  /**
   * Takes over an upgrade of Node's http server, from its event `upgrade`. The request is to be accepted or rejected as
   * any other. `undefined` when it can't be: it is no valid handshake and has been answered so, or its client has gone.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): WebSocketRequest | undefined {
    // biome-ignore lint/complexity/noArguments: Web IDL counts the arguments that were given.
    requireArguments(arguments, 3, 'handleUpgrade');
    // Another server has accepted it.
    if (isCarrying(socket)) return undefined;
    const refused = (cause: Cause): void => publishReject(this, undefined, cause);
    if (this.#closing || this.#isFull()) {
      refused(this.#closing ? CLOSING : TOO_MANY_CONNECTIONS);
      return refuse(socket, UNAVAILABLE);
    }
    const taken = takeOver(this.#listener, request, socket, head, refused);
    return taken && this.#admit(taken.number, taken.head);
  }

  /** The open sockets: a live view. */
  get clients(): WebSocketClients {
    return this.#sockets.clients;
  }

  /** Stops listening, closes all sockets, and ends those that are left after `timeoutMs`. */
  close(options: unknown = undefined): Promise<void> {
    const { code, reason, timeoutMs } = convertCloseOptions(options);
    if (this.#closing) return this.#closed.promise;
    this.#closing = true;
    // Nobody has to wait for a server that was closed on purpose.
    this.#ready.promise.catch(() => {});
    // Who waits for the end hears of it, also where nothing else keeps the server or the process.
    this.#registration.hold();
    this.#registration.ref();
    this.#dismissal = { code, reason };
    for (const [number, request] of this.#unanswered) {
      this.#listener.reject(number, SERVICE_UNAVAILABLE, [], new Uint8Array(0));
      publishReject(this, request, CLOSING);
      endRequest(request);
    }
    this.#unanswered.clear();
    this.#incoming.clear();
    if (this.#options.attachTo !== undefined) {
      this.#options.attachTo.off('upgrade', this.#upgraded);
      leave(this.#options.attachTo, this.#serves);
    }
    this.#listener.close();
    for (const socket of this.#sockets.all()) dismissSocket(socket, code, reason);
    const terminate = (): void => {
      for (const socket of this.#sockets.all()) terminateSocket(socket);
    };
    const timer = setRealTimeout(terminate, Math.min(timeoutMs, MAX_TIMER_MS));
    return this.#closed.promise.finally(() => clearRealTimeout(timer));
  }

  /** Sends one message to all open sockets, or to those that the options leave. Returns how many. */
  broadcast(data: unknown, options: unknown = undefined): number {
    // biome-ignore lint/complexity/noArguments: Web IDL counts the arguments that were given.
    requireArguments(arguments, 1, 'broadcast');
    return broadcast(this.#listener, this.#sockets, data, options);
  }

  /** Replaces the certificates of a server with TLS of its own, all of them. Connections stay as they are. */
  setCertificate(certificates: unknown): void {
    const converted = convertCertificates(certificates);
    try {
      this.#listener.setCertificates(converted);
    } catch (error) {
      throw fromNative(error);
    }
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
      server.#requestGone(a, { number: b, text: payload.text() });
    } else if (kind === Refused) {
      publishReject(server, undefined, { number: b, text: payload.text() });
    } else if (kind === Failed) {
      publishServerError(server, { number: b, text: payload.text() });
    } else if (kind === Listening) {
      server.#address = { address: payload.text(), family: FAMILIES[b] ?? 'Unix', port: a };
      server.#listens();
    } else if (kind === Closed) {
      server.#listenerEnded(payload.text());
    }
  }

  readonly #answering: Answering = {
    accept: (number, url, protocol, headers) => this.#accept(number, url, protocol, headers),
    reject: (number, status, headers, body) => {
      publishReject(this, this.#unanswered.get(number), this.#refusal ?? rejected(status));
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
    join(server, this.#serves);
    if (server.listening) this.#listens();
    else server.once('listening', () => this.#listens());
  }

  #listens(): void {
    this.#ready.resolve();
    if (!this.#closing) publishListening(this, this.address());
  }

  /** An upgrade of the server that this one is attached to. */
  #requestFrom(request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    const target = request.url ?? '';
    const { attachTo } = this.#options;
    if (attachTo !== undefined && !this.#serves(target) && isForAnother(attachTo, this.#serves, target)) return;
    const made = this.handleUpgrade(request, socket, head);
    if (made !== undefined) this.#offer(made);
  }

  #requested(number: number, head: RequestHead): void {
    const full = this.#isFull();
    const request = this.#admit(number, head);
    // Its event was on the way.
    if (this.#closing) this.#refuse(request, CLOSING);
    else if (full) this.#refuse(request, TOO_MANY_CONNECTIONS);
    else this.#offer(request);
  }

  #admit(number: number, head: RequestHead): WebSocketRequest {
    const request = createRequest(this.#answering, number, head);
    this.#unanswered.set(number, request);
    publishRequest(this, request);
    return request;
  }

  #refuse(request: WebSocketRequest, cause: Cause): void {
    this.#refusal = cause;
    request.reject(cause.number);
    this.#refusal = undefined;
  }

  #requestGone(number: number, cause: Cause): void {
    const request = this.#unanswered.get(number);
    if (request !== undefined) {
      this.#unanswered.delete(number);
      this.#incoming.remove(request);
      endRequest(request);
      publishReject(this, request, cause);
      return;
    }
    // The script has accepted it in this moment.
    const socket = this.#sockets.get(number);
    if (socket !== undefined) explainFailure(socket, cause);
  }

  #isFull(): boolean {
    return this.#sockets.size + this.#unanswered.size >= this.#options.maxConnections;
  }

  #offer(request: WebSocketRequest): void {
    if (!this.#serves(request.url)) {
      this.#refuse(request, NOT_SERVED);
      return;
    }
    const { onRequest } = this.#options;
    if (onRequest === undefined) this.#incoming.add(request);
    else void this.#ask(request, onRequest);
  }

  /** The script's hook hears a request first; what that leaves unanswered goes the usual way. */
  async #ask(request: WebSocketRequest, onRequest: (request: never) => unknown): Promise<void> {
    try {
      await onRequest(request as never);
    } catch (error) {
      // The client must not wait, and one bad request must not end the process; but somebody has to hear of it.
      if (!isAnswered(request)) this.#refuse(request, HOOK_FAILED);
      process.emitWarning(error instanceof Error ? error : wordsOf(error));
    }
    if (!isAnswered(request)) this.#incoming.add(request);
  }

  #acceptAtOnce(request: WebSocketRequest): void {
    // A client whose subprotocols are all passed over fails: the one that it prefers, as nobody was asked.
    const [protocol] = request.protocols;
    // The request may have waited for a listener, in whose context this is called, or come from Node's http server.
    this.#registration.run(() => {
      request.accept(protocol === undefined ? {} : { protocol }).then((socket) => {
        // If the client has gone before it was told, there is no connection to speak of.
        if (socket.readyState === CLOSED) return;
        dispatchEvent.call(this, trusted(new WebSocketConnectionEvent(socket, request)));
      });
    });
  }

  #accept(number: number, url: string, protocol: string | undefined, headers: string[]): Promise<WebSocket> {
    const request = this.#unanswered.get(number);
    this.#unanswered.delete(number);
    const { promise, resolve } = withResolvers<WebSocket>();
    const socket = acceptSocket({
      // A Host header that no URL can have is the client's affair.
      url: URL.canParse(url) ? url : 'ws://invalid/',
      connect: (native, id) => this.#listener.accept(native, id, number, protocol, headers),
      opened: (open) => {
        this.#sockets.opened(number);
        publishConnection(this, request, open);
        resolve(open);
        if (this.#closing) dismissSocket(open, this.#dismissal.code, this.#dismissal.reason);
      },
      closed: (closed) => {
        this.#sockets.ended(number);
        resolve(closed);
      },
    });
    this.#sockets.add(number, socket);
    return promise;
  }

  #listenerEnded(error: string): void {
    this.#registration.close();
    this.#ended = true;
    this.#closing = true;
    this.#address = undefined;
    const closed = error === '';
    this.#ready.reject(
      closed ? new DOMException('The server was closed', 'AbortError') : exception('SystemError', error),
    );
    this.#incoming.end();
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (!this.#ended || this.#sockets.size > 0) return;
    this.#options.signal?.removeEventListener('abort', this.#abort);
    if (!this.#isClosed) publishServerClose(this);
    this.#isClosed = true;
    this.#closed.resolve();
  }
}

defineInterface(WebSocketServer, { constructorLength: 0, lengths: { broadcast: 1, close: 0 } });
defineNodeMembers(WebSocketServer, { shown, ended: (server) => server.close() });
