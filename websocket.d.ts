// WebSocket and its server. https://websockets.spec.whatwg.org/
// The members stand in the order of the IDL; what is not in the IDL stands behind.

import type { IncomingMessage, Server } from 'node:http';
import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import type {
  BinaryType,
  BufferSource,
  ClientCertificateOptions,
  ClientTls,
  Handler,
  ServerAddress,
  ServerCertificates,
  TlsOptions,
} from './common.js';
import { EventTargetOf } from './common.js';

/** https://websockets.spec.whatwg.org/#dictdef-closeeventinit */
export interface CloseEventInit {
  bubbles?: boolean;
  cancelable?: boolean;
  composed?: boolean;
  wasClean?: boolean;
  code?: number;
  reason?: string;
}

/** The event of a closed WebSocket. https://websockets.spec.whatwg.org/#closeevent */
export class CloseEvent extends Event {
  constructor(type: string, eventInitDict?: CloseEventInit);
  /** Whether the closing handshake was completed. */
  readonly wasClean: boolean;
  /** The peer's code; 1005 when it sent none, 1006 when the connection broke. */
  readonly code: number;
  /** The peer's reason, or an empty string. */
  readonly reason: string;
}

/** The events of a WebSocket. */
export interface WebSocketEventMap {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: CloseEvent;
  ping: WebSocketPingEvent;
  pong: WebSocketPingEvent;
}

/** A `ping` or `pong` of the peer came. Node's own; no standard has it. */
export interface WebSocketPingEvent extends Event {
  /** What the frame carried, at most 125 bytes. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** What is wanted of compression (permessage-deflate, RFC 7692). An empty object is the same as true. */
export interface PerMessageDeflateOptions {
  /** Makes the server compress each message by itself: its client keeps no window for it. */
  serverNoContextTakeover?: boolean;
  /** Makes the client compress each message by itself: its server keeps no window for it. */
  clientNoContextTakeover?: boolean;
  /** The server's window, as a power of two: 8 to 15, the default, which is 32 KiB. */
  serverMaxWindowBits?: number;
  /** The client's window, as a power of two: 8 to 15, the default. */
  clientMaxWindowBits?: number;
  /** Messages that are shorter are sent as they are; 1024 bytes by default. */
  threshold?: number;
  /** zlib's level, from 0 to 9; 6 by default. */
  level?: number;
}

/** What Node adds to the constructor of WebSocket. */
export interface WebSocketOptions extends TlsOptions {
  /** Subprotocols, the preferred one first. */
  protocols?: string | string[];
  /**
   * Headers for the opening handshake. `Host`, once, and `Origin` replace what is sent otherwise; those that the
   * handshake itself uses are refused with TypeError.
   */
  headers?: Record<string, string> | Iterable<[string, string]>;
  /** The address of this machine to connect from. Only the server's addresses of its family are tried. */
  localAddress?: string;
  /** Resolves the server's name, or the proxy's, in the system's place; called with `{ all: true }`, as `net.connect` does it. */
  lookup?: LookupFunction;
  /** Offers compression to the server, which it is free to take; true by default. */
  perMessageDeflate?: boolean | PerMessageDeflateOptions;
  /**
   * A proxy to go through: `http://`, `https://` (HTTP CONNECT) or `socks5://`, then `user:password@` if need be, then host and port.
   * It resolves the server's name. Its certificate is always verified, against `ca` or what Node trusts. No environment
   * variable is read.
   */
  proxy?: string | URL;
  /** Fails the connection, with 1006, when it aborts before `open`. It has no effect later: call `close()`. */
  signal?: AbortSignal;
  /** The largest message to take, in bytes after reassembly and inflation; a larger one closes with 1009. */
  maxMessageSize?: number;
  /**
   * How long the opening handshake may take in all, in milliseconds, from the call; 30,000 by default. Where connections to
   * one address wait for each other, each one ahead that succeeds begins the time anew.
   */
  handshakeTimeoutMs?: number;
  /**
   * Whether to connect only when no other connection of this process to the same address and port is being made, as
   * RFC 6455 (section 4.1) has it. `false` connects at once: for many connections to one distant server. Default `true`.
   */
  serializeHandshakes?: boolean;
  /** How long to wait for the peer's half of the closing handshake, in milliseconds. */
  closeTimeoutMs?: number;
}

/** What subscribers of `webwire:websocket:open` get. */
export interface WebSocketOpenMessage {
  /** Also a WebSocket of `webwire/ws`, whose type is another. */
  readonly websocket: WebSocket | WebSocketStream;
  /** Without user and password. */
  readonly url: string;
  readonly protocol: string;
  readonly extensions: string;
}

/** What subscribers of `webwire:websocket:close` get. */
export interface WebSocketCloseMessage {
  readonly websocket: WebSocket | WebSocketStream;
  readonly url: string;
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

/** What subscribers of `webwire:websocket:error` get, and a script must not. */
export interface WebSocketErrorMessage {
  readonly websocket: WebSocket | WebSocketStream;
  readonly url: string;
  readonly error: WebSocketFailure;
}

/** What subscribers of `webwire:websocket:server:listening` get. */
export interface WebSocketServerListeningMessage {
  /** A WebSocketServer, also one of `webwire/ws`. */
  readonly server: object;
  readonly address: { readonly address: string; readonly port: number };
}

/** What subscribers of `webwire:websocket:server:request` get: a valid request has come. */
export interface WebSocketServerRequestMessage {
  readonly server: object;
  /** With `webwire/ws` Node's IncomingMessage. */
  readonly request: WebSocketRequest | IncomingMessage;
}

/** What subscribers of `webwire:websocket:server:connection` get: a request has been accepted, and its socket is open. */
export interface WebSocketServerConnectionMessage extends WebSocketServerRequestMessage {
  readonly websocket: object;
}

/** What subscribers of `webwire:websocket:server:reject` get: a client has been refused, or has failed before it was open. */
export interface WebSocketServerRejectMessage {
  readonly server: object;
  /** Absent if no valid one came; then `error` has the client's address, as far as it is known. */
  readonly request: WebSocketRequest | IncomingMessage | undefined;
  /**
   * `status` is what was answered, if anything was. Codes: `ERR_REJECTED` (by the application), `ERR_REQUEST_HOOK`,
   * `ERR_PATH`, `ERR_TOO_MANY_CONNECTIONS`, `ERR_TOO_MANY_HANDSHAKES`, `ERR_SERVER_CLOSED`, `ERR_HANDSHAKE_REQUEST` (no valid
   * opening handshake), `ERR_HANDSHAKE_ANSWER` (of `webwire/ws`: no answer can say what a hook wants), `ETIMEDOUT`, `EOF`, `EPROTO` …
   */
  readonly error: WebSocketFailure;
}

/** What subscribers of `webwire:websocket:server:close` get: the server and all its sockets are closed. */
export interface WebSocketServerCloseMessage {
  readonly server: object;
}

/** What subscribers of `webwire:websocket:server:error` get: it can't listen, or not accept a client (`EMFILE`). */
export interface WebSocketServerErrorMessage {
  readonly server: object;
  readonly error: WebSocketFailure;
}

/** Why a connection failed, in the manner of Node's system errors. */
export interface WebSocketFailure extends Error {
  /**
   * What was under way: `transport` is the open connection, `abort` a `close()` of the script before it, `listen` a
   * server's waiting for clients.
   */
  readonly phase: 'dns' | 'connect' | 'proxy' | 'tls' | 'handshake' | 'listen' | 'transport' | 'frame' | 'abort';
  /** `ECONNREFUSED`, `ENOTFOUND`, `ETIMEDOUT`, `EOF`, `CERT_HAS_EXPIRED`, `ERR_HANDSHAKE_STATUS` … */
  readonly code: string;
  readonly syscall?: string;
  readonly address?: string;
  readonly port?: number;
  /** Of an HTTP answer, the server's or the proxy's, that did not open the connection. */
  readonly status?: number;
  /** Of the Close frame that the peer got for what it sent. */
  readonly closeCode?: number;
}

/** A WebSocket, of a client or accepted by a WebSocketServer. https://websockets.spec.whatwg.org/#the-websocket-interface */
export class WebSocket extends EventTargetOf<WebSocketEventMap> {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;

  /**
   * Begins to connect. Throws SyntaxError for a URL that is not ws:, wss:, http: or https:, one with a fragment, and for
   * bad or repeated protocols; TypeError for wrong options. A connection that fails fires `error`, then `close`.
   * A socket of the file system has the URL `ws+unix:/path/to.sock:/request/target`.
   */
  constructor(url: string | URL, protocols?: string | string[] | WebSocketOptions);

  /** The URL that it connects to. */
  readonly url: string;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  readonly readyState: 0 | 1 | 2 | 3;
  /** Bytes given to `send()` that the network has not taken yet. Never reset; keeps growing after close. */
  readonly bufferedAmount: number;
  onopen: Handler<Event>;
  onerror: Handler<Event>;
  onclose: Handler<CloseEvent>;
  /** The extensions in use, or an empty string. */
  readonly extensions: string;
  /** The subprotocol that the server chose, or an empty string. */
  readonly protocol: string;
  /**
   * Begins the closing handshake. Throws InvalidAccessError unless `code` is 1000 or 3000 to 4999, SyntaxError for a
   * reason of more than 123 bytes.
   */
  close(code?: number, reason?: string): void;
  onmessage: Handler<MessageEvent>;
  /** How binary messages arrive; `blob` at first. `nodebuffer`, which is Node's own, delivers a `Buffer`. */
  get binaryType(): BinaryType;
  set binaryType(value: BinaryType | 'nodebuffer');
  /** Sends a text or binary message. The data is taken at the call. Throws InvalidStateError while connecting. */
  send(data: string | BufferSource | Blob): void;

  /** Sends a ping of up to 125 bytes; a `pong` event brings them back. Throws InvalidStateError while connecting. */
  ping(data?: string | BufferSource): void;
  /** Lets the socket keep the process alive while it is open, as it does at first. */
  ref(): void;
  /** Lets the process end although the socket is open. */
  unref(): void;

  /** Closes it; so does the end of a block with `using`. */
  [Symbol.dispose](): void;
  /** Closes it and waits until it is closed; so does the end of a block with `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** How a connection is closed. https://whatpr.org/websockets/48.html#dictdef-websocketcloseinfo */
export interface WebSocketCloseInfo {
  /** 1000, or 3000 to 4999. Without it the Close frame has no body, with a reason it is 1000. */
  closeCode?: number;
  /** At most 123 bytes of UTF-8. */
  reason?: string;
}

/** What a WebSocketStream has when it is open. https://whatpr.org/websockets/48.html#dictdef-websocketopeninfo */
export interface WebSocketOpenInfo {
  /** The extensions in use, or an empty string. */
  extensions: string;
  /** The subprotocol that the server chose, or an empty string. */
  protocol: string;
  /** One chunk a message: text as strings, binary as bytes. While nobody reads, the peer has to wait. */
  readable: ReadableStream<string | Uint8Array<ArrayBuffer>>;
  /** One message a chunk. A write settles when the network has taken the data, up to 128 KiB. */
  writable: WritableStream<string | BufferSource>;
}

/** Options of a WebSocketStream. https://whatpr.org/websockets/48.html#dictdef-websocketstreamoptions */
export interface WebSocketStreamOptions extends Omit<WebSocketOptions, 'protocols' | 'signal'> {
  /** Subprotocols, the preferred one first. */
  protocols?: string[];
  /** Aborts the opening handshake; after it, it does nothing. */
  signal?: AbortSignal;
}

/**
 * A WebSocket whose messages are chunks of streams, with back-pressure both ways.
 * https://whatpr.org/websockets/48.html#the-websocketstream-interface
 */
export class WebSocketStream {
  /** Begins to connect. Throws SyntaxError for a wrong URL and for wrong protocols, TypeError for wrong options. */
  constructor(url: string | URL, options?: WebSocketStreamOptions);

  /** The URL that it connects to. */
  readonly url: string;
  /** Fulfilled when the opening handshake is done; rejects with WebSocketError, or with the signal's reason. */
  readonly opened: Promise<WebSocketOpenInfo>;
  /** Fulfilled with the peer's code and reason when the connection has closed cleanly; otherwise rejects with WebSocketError. */
  readonly closed: Promise<Required<WebSocketCloseInfo>>;
  /**
   * Begins the closing handshake. Throws InvalidAccessError unless the code is 1000 or 3000 to 4999, SyntaxError for a
   * reason of more than 123 bytes.
   */
  close(closeInfo?: WebSocketCloseInfo): void;

  /** Lets the stream keep the process alive while it is open, as it does at first. */
  ref(): void;
  /** Lets the process end although the stream is open. */
  unref(): void;

  /** Closes it; so does the end of a block with `using`. */
  [Symbol.dispose](): void;
  /** Closes it and waits until it is closed, in whatever way; so does the end of a block with `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The end of a WebSocketStream, and the reason to give to `cancel()` and `abort()` for a close with this code.
 * https://whatpr.org/websockets/48.html#the-websocketevent-interface
 */
export class WebSocketError extends DOMException {
  /** Throws InvalidAccessError unless the code is 1000 or 3000 to 4999, SyntaxError for a reason of more than 123 bytes. */
  constructor(message?: string, init?: WebSocketCloseInfo);
  /** The code of the Close frame, 1006 when the connection broke; null when there is none. */
  readonly closeCode: number | null;
  /** The reason of the Close frame, or an empty string. */
  readonly reason: string;
}

/** Options of a WebSocketServer; those of certificates are for wss:. */
export interface WebSocketServerOptions extends ServerCertificates, ClientCertificateOptions {
  /**
   * An `http.Server` or `https.Server` whose upgrades to serve, instead of listening. Upgrades to other paths than `path`
   * are left to the server's other `upgrade` listeners, and answered 404 when there are none but other WebSocketServers,
   * none of which serves them.
   */
  server?: Server;
  /** Neither listens nor attaches itself: requests come by `handleUpgrade()` only. */
  noServer?: boolean;
  /**
   * The one path to serve, without a query; requests to others are answered 404. All paths when absent. Not for what is
   * handed to `handleUpgrade()`.
   */
  path?: string;
  /** The address to listen on; all addresses of the machine when absent. */
  host?: string;
  /** The port; 0, the default, takes a free one. */
  port?: number;
  /** The path of a unix-domain socket to listen on, instead of host and port. It is removed when the server closes. */
  socketPath?: string;
  /** Accepts compression from clients that offer it; false by default, since it costs memory and time for each client. */
  perMessageDeflate?: boolean | PerMessageDeflateOptions;
  /** The largest message to take from a client, in bytes after inflation. */
  maxMessageSize?: number;
  /** How long an opening handshake may take in all, in milliseconds. */
  handshakeTimeoutMs?: number;
  /**
   * How many opening handshakes may be under way at once. Further clients wait in the system's queue; those that come
   * through Node's server are answered 503.
   */
  maxPendingHandshakes?: number;
  /**
   * How many bytes of messages may wait for a client, 128 MiB by default. A socket whose client takes so little that more
   * wait when another message is sent fails: `error`, then `close` with 1006.
   */
  maxQueuedBytes?: number;
  /**
   * Pings that find clients which are gone without a word: every `intervalMs` (60,000), and a client of which nothing is
   * heard for `timeoutMs` (30,000) after a ping fails with 1006. `false` leaves such sockets open. The script hears nothing
   * of these pings' answers.
   */
  keepAlive?: boolean | { intervalMs?: number; timeoutMs?: number };
  /** How many clients may be connected at once, 65,536 by default; further ones are answered 503. */
  maxConnections?: number;
  /** How long to wait for the peer's half of the closing handshake, in milliseconds. */
  closeTimeoutMs?: number;
  /**
   * Hears each request first, whatever its `origin`, and may accept or reject it. What it leaves unanswered when its
   * promise is fulfilled goes to `incomingRequests` or `connection`. If it throws, the client is answered 500 and a warning
   * is emitted. The time of `handshakeTimeoutMs` goes on meanwhile; at its end the answer is 503. Not for what is handed to
   * `handleUpgrade()`, whose caller has the request.
   */
  onRequest?: (request: WebSocketRequest) => void | PromiseLike<void>;
  /** Closes the server, as `close()` does. */
  signal?: AbortSignal;
}

/** The events of a WebSocketServer. */
export interface WebSocketServerEventMap {
  connection: WebSocketConnectionEvent;
}

/** A client was accepted without being asked for, with the subprotocol that it prefers: the short way of a WebSocketServer. */
export interface WebSocketConnectionEvent extends Event {
  readonly socket: WebSocket;
  readonly request: WebSocketRequest;
}

/** What TLS says of a client. */
export type WebSocketRequestTls = ClientTls;

/** An opening handshake that waits for `accept` or `reject`. */
export interface WebSocketRequest {
  /** The request's target: path and query. */
  readonly url: string;
  readonly headers: Headers;
  /** The Origin header, or an empty string. */
  readonly origin: string;
  /** The subprotocols that the client offers. */
  readonly protocols: readonly string[];
  /** The client's address; absent where there is none, as on a unix-domain socket. */
  readonly remoteAddress: ServerAddress | undefined;
  /** What TLS says of the client; `undefined` without TLS. */
  readonly tls: WebSocketRequestTls | undefined;
  /** Aborts when the client goes away, or the time for an answer is up. */
  readonly signal: AbortSignal;
  /** Answers 101. Rejects with TypeError for a protocol that is not offered, InvalidStateError when answered already. */
  accept(options?: { protocol?: string; headers?: Record<string, string> }): Promise<WebSocket>;
  /** Answers with an HTTP status and closes the connection. Throws RangeError for a status outside 300 to 599, TypeError for 304 with a body. */
  reject(status: number, options?: { headers?: Record<string, string>; body?: string }): void;
}

/** The open sockets of a WebSocketServer, as a set that changes by itself. */
export interface WebSocketClients extends Iterable<WebSocket> {
  readonly size: number;
  has(socket: WebSocket): boolean;
  keys(): IterableIterator<WebSocket>;
  values(): IterableIterator<WebSocket>;
  entries(): IterableIterator<[WebSocket, WebSocket]>;
  forEach(callback: (socket: WebSocket, same: WebSocket, clients: WebSocketClients) => void, thisArg?: unknown): void;
}

/**
 * A WebSocket server, with a listener of its own or behind Node's http server. Requests are answered through `incomingRequests`, or all accepted where
 * there is a listener for `connection`.
 */
export class WebSocketServer extends EventTargetOf<WebSocketServerEventMap> {
  /** Begins to listen. Throws TypeError for wrong options. */
  constructor(options?: WebSocketServerOptions);
  /**
   * Fulfilled when it listens, at once with `noServer`; rejected with the system's error. That is an unhandled rejection, which ends the process, where
   * nobody looks at it; not so the AbortError of a server that was closed before it listened.
   */
  readonly ready: Promise<void>;
  /** Where it listens. Throws InvalidStateError while it doesn't. */
  address(): ServerAddress;
  /** The opening handshakes, each to be accepted or rejected. */
  readonly incomingRequests: ReadableStream<WebSocketRequest>;
  /** The same requests: `for await (const request of server)`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<WebSocketRequest>;
  onconnection: Handler<WebSocketConnectionEvent>;
  /**
   * Sends one message to all open sockets, or to those that `except` and `filter` leave, behind what was sent on each. It is
   * converted and framed once, and where compression is agreed compressed once for each size of window. Returns how many
   * sockets it was for.
   */
  broadcast(
    data: string | BufferSource,
    options?: { except?: WebSocket; filter?: (socket: WebSocket) => boolean },
  ): number;
  /**
   * Replaces all certificates of a server with TLS of its own, for the connections to come; those that are open stay.
   * Throws TypeError for what can't be used, and changes nothing then; InvalidStateError without TLS.
   */
  setCertificate(certificates: ServerCertificates): void;
  /** The open sockets: a live view. */
  readonly clients: WebSocketClients;
  /**
   * Takes over an upgrade of Node's http server, with the arguments of its event `upgrade`. The request is accepted or
   * rejected as any other. Returns `undefined` when it can't be: the handshake is not valid (it has been answered with 400
   * or 426, as a listener of its own does), too many wait (503), or the client has gone.
   * A plain socket leaves Node for good: it is destroyed there without being shut down, and is not counted or ended by the
   * http server any more. Any other stream, such as TLS, goes on to carry the connection.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): WebSocketRequest | undefined;
  /**
   * Stops listening, answers 503 to what is unanswered, closes all sockets with `code` (1001) and `reason`, and ends those
   * that are left after `timeoutMs` (10 s). Fulfilled when all are closed. Throws InvalidAccessError for a code that may not
   * be sent, SyntaxError for a reason of more than 123 bytes.
   */
  close(options?: { code?: number; reason?: string; timeoutMs?: number }): Promise<void>;
  /** `close()`; so does the end of a block with `using`, which does not wait for it. */
  [Symbol.dispose](): void;
  /** `close()`; so does the end of a block with `await using`, which waits for it. */
  [Symbol.asyncDispose](): Promise<void>;
  /** Lets the server keep the process alive while it listens, as it does at first. */
  ref(): void;
  /** Lets the process end although the server listens. */
  unref(): void;
}
