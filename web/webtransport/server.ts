// WebTransportServer: sessions that clients ask for, over HTTP/3. No standard has one; the shape is that of WebSocketServer.

import { deferred } from '../deferred.js';
import { DOMException, exception, fromNative } from '../errors.js';
import { defineEventHandlers, Event, EventTarget, onListenersChanged } from '../event-target.js';
import { type Dispatch, hub, type Registration } from '../hub.js';
import { ReadableStream } from '../streams.js';
import { pemText } from '../tls.js';
import {
  any,
  DOMString,
  defineInterface,
  dictionary,
  double,
  illegalConstructor,
  requireArguments,
  unsignedShort,
} from '../webidl.js';
import { idleTimeoutMember } from './idle-timeout.js';
import { Kind, NativeListener } from './native.js';
import { flattenHeaders, parseHeaders, Session } from './session.js';
import { adopt, type WebTransport } from './web-transport.js';

const ServerOptions = dictionary('WebTransportServerOptions', {
  cert: { type: any, required: true },
  host: { type: DOMString },
  ...idleTimeoutMember,
  key: { type: any, required: true },
  port: { type: unsignedShort('enforceRange'), default: () => 0 },
});

const AcceptOptions = dictionary('WebTransportAcceptOptions', {
  headers: { type: any },
  protocol: { type: DOMString },
});

const RejectOptions = dictionary('WebTransportRejectOptions', {
  body: { type: DOMString, default: () => '' },
  headers: { type: any },
});

const CloseOptions = dictionary('WebTransportServerCloseOptions', {
  timeoutMs: { type: double, default: () => 5000 },
});

export interface ServerAddress {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

function serverAddress(address: string, port: number): ServerAddress {
  return { address, family: address.includes(':') ? 'IPv6' : 'IPv4', port };
}

/** For requests that nobody will read. */
const UNAVAILABLE = 503;

/** What a request does with its answer; friend of WebTransportServer. */
interface Answering {
  accept(key: number, protocol: string | undefined, headers: string[]): WebTransport;
  reject(key: number, status: number, headers: string[], body: string): void;
}

/** A request as it came. */
class Arrival {
  readonly answering: Answering;
  readonly key: number;
  readonly lines: readonly string[];

  constructor(answering: Answering, key: number, text: string) {
    this.answering = answering;
    this.key = key;
    this.lines = text.split('\n');
  }
}

/** Aborts a request's signal. */
let abandon: (request: WebTransportRequest) => void;

/** A client's request for a session. */
export class WebTransportRequest {
  readonly #arrival: Arrival;
  readonly #gone = new AbortController();
  #answered = false;
  readonly #url: string;
  readonly #headers: Headers;
  readonly #protocols: readonly string[];
  readonly #remoteAddress: ServerAddress;

  constructor(arrival?: unknown) {
    if (!(arrival instanceof Arrival)) throw illegalConstructor();
    this.#arrival = arrival;
    const [authority, path, address = '', port, count, ...rest] = arrival.lines;
    this.#url = `https://${authority}${path}`;
    this.#remoteAddress = serverAddress(address, Number(port));
    this.#protocols = Object.freeze(rest.slice(0, Number(count)));
    this.#headers = parseHeaders(rest.slice(Number(count)));
  }

  static {
    abandon = (request) => {
      request.#gone.abort(new DOMException('the client has gone, or waited too long', 'AbortError'));
    };
  }

  get url(): string {
    return this.#url;
  }

  get headers(): Headers {
    return this.#headers;
  }

  /** The `origin` header; empty when there is none. */
  get origin(): string {
    return this.#headers.get('origin') ?? '';
  }

  get protocols(): readonly string[] {
    return this.#protocols;
  }

  get remoteAddress(): ServerAddress {
    return this.#remoteAddress;
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /**
   * Answers 200. `protocol` is one of `protocols`. If the client has gone meanwhile, which nobody can exclude, that is no
   * error of the caller: the session then fails, and its `ready` and `closed` reject.
   */
  async accept(options: unknown = {}): Promise<WebTransport> {
    const { headers, protocol } = AcceptOptions(options, "Failed to execute 'accept': options");
    if (protocol !== undefined && protocol !== '' && !this.#protocols.includes(protocol)) {
      throw new TypeError(`the client does not offer the protocol '${protocol}'`);
    }
    const flat = flattenHeaders(headers);
    this.#answer();
    return this.#arrival.answering.accept(this.#arrival.key, protocol === '' ? undefined : protocol, flat);
  }

  reject(...given: unknown[]): void {
    requireArguments(given, 1, "Failed to execute 'reject'");
    const [status, options = {}] = given;
    const code = unsignedShort('enforceRange')(status, "Failed to execute 'reject': status");
    if (code < 300 || code > 599) throw new RangeError(`${code} is not a status that rejects`);
    const { body, headers } = RejectOptions(options, "Failed to execute 'reject': options");
    const flat = flattenHeaders(headers);
    this.#answer();
    this.#arrival.answering.reject(this.#arrival.key, code, flat, body);
  }

  #answer(): void {
    if (this.#answered) throw new DOMException('the request has been answered', 'InvalidStateError');
    this.#answered = true;
  }
}

defineInterface(WebTransportRequest, { constructorLength: 0, lengths: { accept: 0, reject: 1 } });

/** `connection`: a session that was accepted for whoever listens. */
export class WebTransportConnectionEvent extends Event {
  readonly #socket: WebTransport;
  readonly #request: WebTransportRequest;

  constructor(socket: WebTransport, request: WebTransportRequest) {
    super('connection');
    this.#socket = socket;
    this.#request = request;
  }

  get socket(): WebTransport {
    return this.#socket;
  }

  get request(): WebTransportRequest {
    return this.#request;
  }
}

type State = 'starting' | 'listening' | 'closing' | 'closed';

const { dispatchEvent } = EventTarget.prototype;

export class WebTransportServer extends EventTarget {
  // `this`, since the class has no name yet that the compiled script could use.
  static readonly #knowsListeners = onListenersChanged(this, (server, type, count) => {
    if (type !== 'connection') return;
    server.#heard = count > 0;
    server.#next();
  });

  readonly #registration: Registration;
  readonly #native: NativeListener;
  #state: State = 'starting';
  #address: ServerAddress | undefined;
  readonly #ready = deferred<void>();
  readonly #closed = deferred<void>();
  /** Someone listens for `connection`. */
  #heard = false;
  /** Requests that nobody has taken yet, in order. */
  readonly #queue: WebTransportRequest[] = [];
  /** Requests that have no answer, so that their signals can abort. */
  readonly #waiting = new Map<number, WebTransportRequest>();
  #requests: ReadableStream<WebTransportRequest> | undefined;
  #controller: ReadableStreamDefaultController<WebTransportRequest> | undefined;
  /** A read waits. */
  #wanted = false;
  /** The script wants no more requests. */
  #cancelled = false;

  constructor(...given: unknown[]) {
    super();
    requireArguments(given, 1, "Failed to construct 'WebTransportServer'");
    const [options] = given;
    const converted = ServerOptions(options, "Failed to construct 'WebTransportServer': options");
    const { host, port, idleTimeoutMs } = converted;
    const listen = {
      host,
      port,
      cert: pemText(converted.cert, 'cert'),
      key: pemText(converted.key, 'key'),
      idleTimeoutMs,
    };
    this.#registration = hub.register(this, WebTransportServer.#dispatch);
    try {
      this.#native = new NativeListener(hub.native, this.#registration.id, listen);
    } catch (error) {
      this.#registration.close();
      throw fromNative(error);
    }
    this.#heard = !WebTransportServer.#knowsListeners;
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  address(): ServerAddress {
    if (this.#address === undefined) throw new DOMException('the server does not listen yet', 'InvalidStateError');
    return { ...this.#address };
  }

  /** The requests, each to be accepted or rejected. Once asked for, no request is accepted by itself. */
  get incomingRequests(): ReadableStream<WebTransportRequest> {
    this.#requests ??= new ReadableStream<WebTransportRequest>(
      {
        start: (controller) => {
          this.#controller = controller;
          if (this.#state === 'closing' || this.#state === 'closed') controller.close();
        },
        pull: () => {
          this.#wanted = true;
          this.#next();
        },
        cancel: () => {
          this.#cancelled = true;
          this.#next();
        },
      },
      { highWaterMark: 0 },
    );
    return this.#requests;
  }

  close(options: unknown = {}): Promise<void> {
    const { timeoutMs } = CloseOptions(options, "Failed to execute 'close': options");
    if (this.#state !== 'closed') {
      this.#stop();
      this.#native.close(timeoutMs);
    }
    return this.#closed.promise;
  }

  ref(): void {
    this.#registration.ref();
  }

  unref(): void {
    this.#registration.unref();
  }

  #stop(): void {
    if (this.#state === 'starting' || this.#state === 'listening') {
      this.#state = 'closing';
      if (!this.#cancelled) this.#controller?.close();
      for (const request of this.#waiting.values()) abandon(request);
      this.#waiting.clear();
      this.#queue.length = 0;
    }
  }

  #request(key: number, text: string): void {
    const request = new WebTransportRequest(new Arrival(this.#answering, key, text));
    this.#waiting.set(key, request);
    this.#queue.push(request);
    this.#next();
  }

  /** Gives what waits to whoever wants it: the stream's reader or, the short way, the listeners for `connection`. */
  #next(): void {
    if (this.#cancelled) {
      for (const request of this.#queue.splice(0)) request.reject(UNAVAILABLE);
    } else if (this.#controller !== undefined) {
      const request = this.#wanted ? this.#queue.shift() : undefined;
      if (request === undefined) return;
      this.#wanted = false;
      this.#controller.enqueue(request);
    } else if (this.#heard) {
      for (const request of this.#queue.splice(0)) this.#acceptAtOnce(request);
    }
  }

  #acceptAtOnce(request: WebTransportRequest): void {
    request
      .accept()
      .then((socket) => socket.ready.then(() => socket))
      .then(
        (socket) => dispatchEvent.call(this, new WebTransportConnectionEvent(socket, request)),
        // The client has gone in the meantime: there is no session to speak of.
        () => {},
      );
  }

  readonly #answering: Answering = {
    accept: (key, protocol, headers) => {
      this.#waiting.delete(key);
      return adopt(
        Session.accepted(protocol ?? '', (id) => this.#native.accept(hub.native, id, key, protocol, headers)),
      );
    },
    reject: (key, status, headers, body) => {
      this.#waiting.delete(key);
      this.#native.reject(key, status, headers, body);
    },
  };

  static #dispatch: Dispatch<WebTransportServer> = (server, kind, a, _b, payload) => {
    switch (kind) {
      case Kind.Listening:
        server.#address = serverAddress(payload.text(), a);
        if (server.#state === 'starting') server.#state = 'listening';
        server.#ready.resolve();
        break;
      case Kind.ListenFailed:
        server.#ready.reject(exception('SystemError', payload.text()));
        server.#stop();
        break;
      case Kind.Request:
        if (server.#state === 'listening') server.#request(a, payload.text());
        break;
      case Kind.RequestGone: {
        const request = server.#waiting.get(a);
        server.#waiting.delete(a);
        if (request === undefined) break;
        const at = server.#queue.indexOf(request);
        if (at !== -1) server.#queue.splice(at, 1);
        abandon(request);
        break;
      }
      case Kind.ListenerEnded:
        server.#stop();
        server.#state = 'closed';
        // After `ready` has been settled this changes nothing.
        server.#ready.reject(new DOMException('the server was closed', 'AbortError'));
        server.#registration.close();
        server.#closed.resolve();
        break;
    }
  };
}

defineEventHandlers(WebTransportServer, ['connection']);
defineInterface(WebTransportServer, { constructorLength: 1, lengths: { close: 0 } });
