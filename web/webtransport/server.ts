// WebTransportServer: sessions that clients ask for, over HTTP/3. No standard has one; the shape is that of WebSocketServer.

import { withResolvers } from '../deferred.js';
import { DOMException, exception, fromNative } from '../errors.js';
import { defineEventHandlers, EventTarget, onListenersChanged } from '../event-target.js';
import { type Dispatch, hub, type Registration } from '../hub.js';
import { IncomingRequests } from '../incoming-requests.js';
import { defineNodeMembers } from '../node-members.js';
import { convertCertificates } from '../server-tls.js';
import { defineInterface, requireArguments } from '../webidl.js';
import {
  CLOSING,
  CLOSING_ANSWERED,
  GONE,
  HOOK_FAILED,
  publishConnection,
  publishListening,
  publishRefusals,
  publishReject,
  publishRequest,
  publishServerClose,
  publishServerError,
  type Refusal,
  rejected,
  TOO_MANY_SESSIONS,
} from './diagnostics.js';
import { FULL, Kind, NativeListener } from './native.js';
import { isResponse, PlainRequest, type RequestInfo, warn } from './plain-request.js';
import {
  type Answering,
  createRequest,
  endRequest,
  isAnswered,
  type ServerAddress,
  serverAddress,
  WebTransportConnectionEvent,
  type WebTransportRequest,
} from './request.js';
import { convertCloseOptions, convertServerOptions, type OnRequest } from './server-options.js';
import { Session } from './session.js';
import { adopt } from './web-transport.js';

/** From here on a status is no success. */
const MULTIPLE_CHOICES = 300;
const INTERNAL_SERVER_ERROR = 500;

type State = 'starting' | 'listening' | 'closing' | 'closed';

const { dispatchEvent } = EventTarget.prototype;

/** What is shown of one. */
let shown: (server: WebTransportServer) => object;

export class WebTransportServer extends EventTarget {
  static {
    defineEventHandlers(WebTransportServer, ['connection'], (value) => #registration in value);
    shown = (server) => ({
      state: server.#state,
      ...(server.#address === undefined ? {} : { listening: server.#address }),
      sessions: server.#native.sessions(),
      unanswered: server.#unanswered.size,
    });
  }

  // `this`, since the class has no name yet that the compiled script could use.
  static readonly #knowsListeners = onListenersChanged(this, (server, type, count) => {
    if (type !== 'connection') return;
    server.#incoming.hear(count > 0);
  });

  readonly #registration: Registration;
  readonly #native: NativeListener;
  #state: State = 'starting';
  #address: ServerAddress | undefined;
  /** A failure that nobody looks at ends the process, as that of Node's servers does. */
  readonly #ready = withResolvers<void>();
  readonly #closed = withResolvers<void>();
  readonly #incoming = new IncomingRequests<WebTransportRequest>((request) => this.#acceptAtOnce(request));
  /** Requests that have no answer, so that their signals can abort. */
  readonly #unanswered = new Map<number, WebTransportRequest>();
  readonly #onRequest: OnRequest | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => void this.close();
  /** Hears the plain requests. */
  readonly #hearPlain: OnRequest = (request, info) => {
    publishRequest(this, request);
    return this.#onRequest?.(request, info);
  };

  constructor(...given: unknown[]) {
    super();
    const context = "Failed to construct 'WebTransportServer'";
    requireArguments(given, 1, context);
    const { listen, onRequest, signal } = convertServerOptions(given[0], `${context}: options`);
    this.#onRequest = onRequest;
    this.#signal = signal;
    this.#registration = hub.register(this, WebTransportServer.#dispatch);
    try {
      this.#native = new NativeListener(hub.native, this.#registration.id, listen);
    } catch (error) {
      this.#registration.close();
      throw fromNative(error);
    }
    if (!WebTransportServer.#knowsListeners) this.#incoming.hear(true);
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener('abort', this.#abort, { once: true });
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  address(): ServerAddress {
    if (this.#address === undefined) throw new DOMException('the server does not listen', 'InvalidStateError');
    return { ...this.#address };
  }

  /** The requests, each to be accepted or rejected. Once asked for, no request is accepted by itself. */
  get incomingRequests(): ReadableStream<WebTransportRequest> {
    return this.#incoming.stream;
  }

  /** The same requests: `for await (const request of server)`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<WebTransportRequest> {
    return this.#incoming.stream[Symbol.asyncIterator]();
  }

  /** Replaces the certificates, all of them. Sessions stay as they are. */
  setCertificate(...given: unknown[]): void {
    requireArguments(given, 1, "Failed to execute 'setCertificate'");
    const converted = convertCertificates(given[0]);
    try {
      this.#native.setCertificates(converted);
    } catch (error) {
      throw fromNative(error);
    }
  }

  close(options: unknown = {}): Promise<void> {
    const { closeCode, reason, timeoutMs } = convertCloseOptions(options, "Failed to execute 'close': options");
    if (this.#state !== 'closed') {
      // Nobody has to wait for a server that was closed on purpose.
      this.#ready.promise.catch(() => {});
      this.#stop();
      // Who waits for the end hears of it, also where nothing else keeps the server or the process.
      this.#registration.hold();
      this.#registration.ref();
      this.#native.close(timeoutMs, closeCode, reason);
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
    if (this.#state !== 'starting' && this.#state !== 'listening') return;
    this.#state = 'closing';
    this.#incoming.clear();
    this.#incoming.end();
    for (const request of this.#unanswered.values()) {
      this.#publishReject(request, CLOSING);
      endRequest(request);
    }
    this.#unanswered.clear();
  }

  #publishReject(request: WebTransportRequest, refusal: Refusal): void {
    publishReject(this, request, refusal, request.remoteAddress);
  }

  #requested(key: number, text: string): void {
    const request = createRequest(this.#answering, key, text);
    // The network hears of the end as well, and refuses it.
    if (this.#state !== 'listening') {
      this.#publishReject(request, CLOSING);
      return;
    }
    this.#unanswered.set(key, request);
    publishRequest(this, request);
    if (this.#onRequest === undefined) this.#incoming.add(request);
    else void this.#ask(request, this.#onRequest);
  }

  /** The script's hook hears a request first; what that leaves unanswered goes the usual way. */
  async #ask(request: WebTransportRequest, onRequest: OnRequest): Promise<void> {
    const { remoteAddress, tls } = request;
    const info: RequestInfo = { remoteAddress, tls };
    try {
      const answer = await onRequest(request as never, info as never);
      if (!isAnswered(request) && isResponse(answer) && answer.status >= MULTIPLE_CHOICES) {
        request.reject(answer.status, { headers: answer.headers });
      }
    } catch (error) {
      // The client must not wait, and one bad request must not end the process.
      warn(error);
      this.#refusal = HOOK_FAILED;
      if (!isAnswered(request)) request.reject(INTERNAL_SERVER_ERROR);
      this.#refusal = undefined;
    }
    if (!isAnswered(request) && this.#state === 'listening') this.#incoming.add(request);
  }

  #acceptAtOnce(request: WebTransportRequest): void {
    // The request may have waited for a listener, in whose context this is called.
    this.#registration.run(() => {
      request
        .accept()
        .then((socket) => socket.ready.then(() => socket))
        .then(
          (socket) => dispatchEvent.call(this, new WebTransportConnectionEvent(socket, request)),
          // The client has gone in the meantime: there is no session to speak of.
          () => {},
        );
    });
  }

  /** Why the server itself rejects a request, while it does. */
  #refusal: Refusal | undefined;

  readonly #answering: Answering = {
    accept: (key, request, protocol, headers) => {
      const isKnown = this.#unanswered.delete(key);
      let refusal = GONE;
      const session = Session.accepted(protocol ?? '', (id) => {
        const accepted = this.#native.accept(hub.native, id, key, protocol, headers);
        if (typeof accepted !== 'number') return accepted;
        if (accepted === FULL) refusal = TOO_MANY_SESSIONS;
        return null;
      });
      const socket = adopt(session, request.url);
      if (session.isOpen) publishConnection(this, request, socket);
      else if (isKnown) this.#publishReject(request, refusal);
      return socket;
    },
    reject: (key, status, headers, body) => {
      const request = this.#unanswered.get(key);
      // Without one, it has been told of already.
      if (request !== undefined) this.#publishReject(request, this.#refusal ?? rejected(status));
      this.#unanswered.delete(key);
      this.#native.reject(key, status, headers, body);
    },
  };

  #plainRequested(key: number, text: string, empty: boolean): void {
    const plain = new PlainRequest(this, this.#native, key, text);
    if (this.#state !== 'listening' || this.#onRequest === undefined) plain.refuse(CLOSING_ANSWERED);
    else void plain.serve(empty, this.#hearPlain);
  }

  static #dispatch: Dispatch<WebTransportServer> = (server, kind, a, b, payload) => {
    switch (kind) {
      case Kind.Listening:
        // A server that was closed meanwhile ends, and says so in `ready`.
        if (server.#state !== 'starting') break;
        server.#address = serverAddress(payload.text(), a);
        server.#state = 'listening';
        server.#ready.resolve();
        publishListening(server, server.address());
        break;
      case Kind.ListenFailed: {
        const error = exception('SystemError', payload.text());
        server.#ready.reject(error);
        publishServerError(server, error);
        server.#stop();
        break;
      }
      case Kind.Request:
        server.#requested(a, payload.text());
        break;
      case Kind.PlainRequest:
        server.#plainRequested(a, payload.text(), b !== 0);
        break;
      case Kind.RequestGone: {
        const request = server.#unanswered.get(a);
        server.#unanswered.delete(a);
        if (request === undefined) break;
        server.#incoming.remove(request);
        endRequest(request);
        server.#publishReject(request, GONE);
        break;
      }
      case Kind.Refused:
        publishRefusals(server, server.#native);
        break;
      case Kind.ListenerEnded:
        server.#stop();
        server.#state = 'closed';
        server.#address = undefined;
        server.#signal?.removeEventListener('abort', server.#abort);
        // After `ready` has been settled this changes nothing.
        server.#ready.reject(new DOMException('the server was closed', 'AbortError'));
        server.#registration.close();
        server.#closed.resolve();
        publishServerClose(server);
        break;
    }
  };
}

defineInterface(WebTransportServer, { constructorLength: 1, lengths: { close: 0, setCertificate: 1 } });
defineNodeMembers(WebTransportServer, { shown, ended: (server) => server.close() });
