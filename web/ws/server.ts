// WebSocketServer as `ws` has it: behind a Node http server, its own or another's, whose upgrades it takes over.
// https://github.com/websockets/ws/blob/master/doc/ws.md#class-websocketserver

import { EventEmitter } from 'node:events';
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import { nextTick } from 'node:process';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { native } from '../binding.js';
import { fromNative } from '../errors.js';
import { hub, type Registration } from '../hub.js';
import type { Cause } from '../websocket/diagnostics.js';
import type { Connection } from '../websocket/native.js';
import {
  GONE,
  NOT_SERVED,
  publishConnection,
  publishListening,
  publishReject,
  publishRequest,
  publishServerClose,
  publishServerError,
  refusal,
  rejected,
  CLOSING as SERVER_CLOSING,
} from '../websocket/server-diagnostics.js';
import { type Adopting, takeOver } from '../websocket/upgrade.js';
import { convertLimits, type LimitOptions } from './address.js';
import { convertDeflate } from './deflate.js';
import {
  abortHandshake,
  addedHeaders,
  answerLines,
  badAnswer,
  chosenProtocol,
  type Fault,
  faultOf,
  HOOK_FAILED,
  protocolsOf,
  rejectClient,
} from './handshake.js';
import {
  HANDSHAKE_TIMEOUT_MS,
  LATE,
  MAX_PENDING_HANDSHAKES,
  PendingVerifications,
  TOO_MANY_HANDSHAKES,
  type VerificationLimits,
  type Verified,
} from './verification.js';
import { acceptConnection, WebSocket } from './websocket.js';

interface Listener extends Adopting {
  accept(hub: object, id: number, request: number, protocol: string | undefined, headers: string[]): Connection;
  close(): void;
}

const { WebSocketListener } = native<{
  WebSocketListener: new (hub: object, id: number, options: object) => Listener;
}>();

interface Info {
  origin: string | undefined;
  secure: boolean;
  req: IncomingMessage;
}
type Connected = (socket: WebSocket, request: IncomingMessage) => void;

interface Options extends LimitOptions, VerificationLimits {
  backlog?: number | null | undefined;
  clientTracking?: boolean | undefined;
  handleProtocols?: ((protocols: Set<string>, request: IncomingMessage) => string | false) | null | undefined;
  host?: string | null | undefined;
  noServer?: boolean | undefined;
  path?: string | null | undefined;
  perMessageDeflate?: unknown;
  port?: number | null | undefined;
  server?: Server | null | undefined;
  verifyClient?: ((info: Info, verified?: Verified) => unknown) | null | undefined;
  WebSocket?: typeof WebSocket | undefined;
}

const RUNNING = 0;
const CLOSING = 1;
const CLOSED = 2;

/** Requests are accepted as soon as they are handed over, so this many wait for their answer to be written. */
const MAX_UNWRITTEN_ANSWERS = 65_536;

export class WebSocketServer extends EventEmitter {
  /** As they were given, with the defaults; what a framework changes in it counts for the next request. */
  readonly options: Options & { WebSocket: typeof WebSocket };
  readonly clients?: Set<WebSocket>;
  readonly #registration: Registration;
  readonly #listener: Listener;
  /** Sockets that are taken over. */
  readonly #taken = new WeakSet<Duplex>();
  readonly #pending = new PendingVerifications();
  #server: Server | undefined;
  #removeListeners = (): void => {};
  #state: 0 | 1 | 2 = RUNNING;
  #closesWithLastClient = false;

  constructor(options?: Options, callback?: () => void) {
    super();
    this.options = {
      autoPong: true,
      backlog: null,
      clientTracking: true,
      handleProtocols: null,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      host: null,
      maxPayload: 100 * 1024 * 1024,
      maxPendingHandshakes: MAX_PENDING_HANDSHAKES,
      noServer: false,
      path: null,
      perMessageDeflate: false,
      port: null,
      server: null,
      verifyClient: null,
      ...options,
      WebSocket: options?.WebSocket ?? WebSocket,
    };
    const { port, server, noServer } = this.options;
    if (Number(port !== null && port !== undefined) + Number(Boolean(server)) + Number(Boolean(noServer)) !== 1) {
      throw new TypeError('One and only one of the "port", "server", or "noServer" options must be specified');
    }
    if (this.options.clientTracking) this.clients = new Set();
    // It hears nothing by itself: Node's server keeps the process alive, and what it serves.
    this.#registration = hub.register(this, () => {});
    this.#registration.unref();
    this.#registration.letGo();
    try {
      const deflate = convertDeflate(this.options.perMessageDeflate);
      this.#listener = new WebSocketListener(hub.native, this.#registration.id, {
        ...(deflate === undefined ? {} : { deflate }),
        handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
        maxPendingHandshakes: MAX_UNWRITTEN_ANSWERS,
        limits: convertLimits(this.options),
      });
    } catch (error) {
      this.#registration.close();
      throw fromNative(error);
    }
    if (server) this.#attach(server);
    else if (!noServer) this.#listen(callback);
  }

  /** Where the http server listens, as Node says it. */
  address(): ReturnType<Server['address']> {
    if (this.options.noServer) throw new Error('The server is operating in "noServer" mode');
    return this.#server?.address() ?? null;
  }

  /** Takes no more clients. `callback` is called when those that are there have gone. */
  close(callback?: (error?: Error) => void): void {
    if (this.#state === CLOSED) {
      if (callback !== undefined) this.once('close', () => callback(new Error('The server is not running')));
      nextTick(() => this.emit('close'));
      return;
    }
    if (callback !== undefined) this.once('close', callback);
    if (this.#state === CLOSING) return;
    this.#state = CLOSING;
    const own = this.options.server || this.options.noServer ? undefined : this.#server;
    this.#removeListeners();
    this.#server = undefined;
    if (own === undefined) this.#closeWithLastClient();
    else own.close(() => this.#closeWithLastClient());
  }

  /** Whether a request is for this server: a framework may put its own in place. */
  shouldHandle(request: IncomingMessage): boolean | Promise<boolean> {
    const { path } = this.options;
    return !path || (request.url ?? '').split('?', 1)[0] === path;
  }

  /** Takes over an upgrade of Node's http server. `connected` is called with the open socket. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array, connected: Connected): void {
    this.#requireNotTaken(socket);
    socket.on('error', destroyThis);
    const fault = faultOf(request);
    if (fault !== undefined) {
      this.#refuse(fault, request, socket);
      return;
    }
    if (!this.shouldHandle(request)) {
      publishReject(this, request, { ...NOT_SERVED, number: 400 });
      abortHandshake(socket, 400);
      return;
    }
    const protocols = protocolsOf(request);
    if (!(protocols instanceof Set)) {
      this.#refuse(protocols, request, socket);
      return;
    }
    publishRequest(this, request);
    this.#runHooks(request, socket, () => {
      this.#verify(request, socket, () => this.#completeUpgrade(protocols, request, socket, head, connected));
    });
  }

  #listen(callback: (() => void) | undefined): void {
    const server = createServer((_request, response) => {
      const body = STATUS_CODES[426] ?? '';
      response.writeHead(426, { 'Content-Length': body.length, 'Content-Type': 'text/plain' });
      response.end(body);
    });
    this.#attach(server);
    const { port, host, backlog } = this.options;
    server.listen({ port: port ?? 0, host: host ?? undefined, backlog: backlog ?? undefined }, callback);
  }

  #attach(server: Server): void {
    this.#server = server;
    const listening = (): void => {
      const address = server.address();
      const place = address === null || typeof address === 'string' ? { address: address ?? '', port: 0 } : address;
      publishListening(this, place);
      this.emit('listening');
    };
    const failed = (error: NodeJS.ErrnoException): void => {
      const { code = '', syscall = '', message } = error;
      publishServerError(this, { number: 0, text: ['listen', code, syscall, '', '', message].join('\0') });
      this.emit('error', error);
    };
    const upgraded = (request: IncomingMessage, socket: Duplex, head: Uint8Array): void => {
      this.handleUpgrade(request, socket, head, (connected) => this.emit('connection', connected, request));
    };
    server.on('listening', listening).on('error', failed).on('upgrade', upgraded);
    this.#removeListeners = () => {
      server.off('listening', listening).off('error', failed).off('upgrade', upgraded);
    };
  }

  #requireNotTaken(socket: Duplex): void {
    if (!this.#taken.has(socket)) return;
    throw new Error('server.handleUpgrade() was called more than once with the same socket');
  }

  #refuse(fault: Fault, request: IncomingMessage, socket: Duplex): void {
    publishReject(this, request, refusal(fault.status, fault.code, fault.message));
    if (this.listenerCount('wsClientError') > 0) this.emit('wsClientError', new Error(fault.message), socket, request);
    else abortHandshake(socket, fault.status, fault.message, fault.headers);
  }

  /** Runs what calls a script's hooks. What one throws is thrown, as by `ws`, but its client does not wait for ever. */
  #runHooks(request: IncomingMessage, socket: Duplex, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!this.#taken.has(socket) && socket.writable) {
        publishReject(this, request, HOOK_FAILED);
        abortHandshake(socket, 500);
      }
      throw error;
    }
  }

  /** Asks `verifyClient`, if there is one, in the form that it has. */
  #verify(request: IncomingMessage, socket: Duplex, complete: () => void): void {
    const { options } = this;
    if (!options.verifyClient) {
      complete();
      return;
    }
    const { authorized, encrypted } = request.socket as { authorized?: unknown; encrypted?: unknown };
    const info: Info = { origin: request.headers.origin, secure: Boolean(authorized || encrypted), req: request };
    if (options.verifyClient.length !== 2) {
      if (options.verifyClient(info)) complete();
      else this.#rejectClient(request, socket, 401);
      return;
    }
    if (this.#pending.isFull(options)) {
      publishReject(this, request, TOO_MANY_HANDSHAKES);
      abortHandshake(socket, TOO_MANY_HANDSHAKES.number);
      return;
    }
    this.#pending.wait(socket, options, (callback) => options.verifyClient?.(info, callback), {
      verified: (verified, ...answer) => {
        this.#runHooks(request, socket, () => {
          if (verified) complete();
          else this.#rejectClient(request, socket, ...answer);
        });
      },
      late: () => {
        publishReject(this, request, LATE);
        abortHandshake(socket, LATE.number);
      },
      gone: () => publishReject(this, request, GONE),
    });
  }

  #rejectClient(request: IncomingMessage, socket: Duplex, status?: number, message?: string, headers?: object): void {
    const code = status || 401;
    if (rejectClient(socket, code, message, headers)) publishReject(this, request, rejected(Number(code)));
    else this.#refuse(badAnswer('verifyClient gives a status or headers that are none'), request, socket);
  }

  #completeUpgrade(
    protocols: Set<string>,
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    connected: Connected,
  ): void {
    this.#requireNotTaken(socket);
    if (!socket.readable || !socket.writable) {
      publishReject(this, request, GONE);
      socket.destroy();
      return;
    }
    if (this.#state !== RUNNING) {
      publishReject(this, request, SERVER_CLOSING);
      abortHandshake(socket, 503);
      return;
    }
    const { options } = this;
    const made = new options.WebSocket(null, undefined, options);
    const [first = ''] = protocols;
    const chosen = protocols.size > 0 && options.handleProtocols ? options.handleProtocols(protocols, request) : first;
    const protocol = chosenProtocol(chosen);
    if (protocol === undefined) {
      this.#refuse(badAnswer('handleProtocols gives what is no subprotocol'), request, socket);
      return;
    }
    const lines = answerLines(request, protocol);
    this.emit('headers', lines, request);
    const added = addedHeaders(lines);
    if (added === undefined) {
      this.#refuse(badAnswer('A listener for headers gives a line that is no header'), request, socket);
      return;
    }
    const refused = (cause: Cause): void => publishReject(this, request, cause);
    const taken = takeOver(this.#listener, request, socket, head, refused);
    if (taken === undefined) return;
    this.#taken.add(socket);
    socket.off('error', destroyThis);
    acceptConnection(made, {
      protocol,
      extensions: '',
      url: `${socket instanceof TLSSocket ? 'wss' : 'ws'}://${request.headers.host}${taken.head.target}`,
      connect: (hubOfMade, id) =>
        this.#listener.accept(hubOfMade, id, taken.number, protocol === '' ? undefined : protocol, added),
    });
    this.#track(made);
    publishConnection(this, request, made);
    connected(made, request);
  }

  #track(socket: WebSocket): void {
    const { clients } = this;
    if (clients === undefined) return;
    clients.add(socket);
    socket.on('close', () => {
      clients.delete(socket);
      if (this.#closesWithLastClient && clients.size === 0) nextTick(() => this.#emitClose());
    });
  }

  #closeWithLastClient(): void {
    if (this.clients !== undefined && this.clients.size > 0) this.#closesWithLastClient = true;
    else nextTick(() => this.#emitClose());
  }

  #emitClose(): void {
    this.#state = CLOSED;
    this.#listener.close();
    this.#registration.close();
    publishServerClose(this);
    this.emit('close');
  }
}

/** Until a socket is taken over, its errors are its client's affair. */
function destroyThis(this: Duplex): void {
  this.destroy();
}
