// The interface of the package `ws` over webwire's engine. Members, events and options are those of `ws` 8; what differs
// stands in docs/divergence.md.

/// <reference types="node" />

import type { EventEmitter } from 'node:events';
import type { ClientRequest, Server as HttpServer, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Duplex, DuplexOptions } from 'node:stream';
import type { URL } from 'node:url';

/**
 * A WebSocket as `ws` has it: an EventEmitter whose `message` has the data as a Buffer and says whether it is binary.
 * https://github.com/websockets/ws/blob/master/doc/ws.md#class-websocket
 */
declare class WebSocket extends EventEmitter {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  static readonly WebSocket: typeof WebSocket;

  /** For a WebSocketServer, which gives the socket its connection. */
  constructor(address: null);
  /**
   * Begins to connect. Throws SyntaxError for a wrong URL or subprotocol, NotSupportedError for an option that can't be
   * kept; what fails later is the event `error`, then `close`.
   */
  constructor(address: string | URL, options?: WebSocket.ClientOptions);
  constructor(address: string | URL, protocols?: string | string[], options?: WebSocket.ClientOptions);

  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /** What binary messages are. Default `nodebuffer`. */
  binaryType: 'nodebuffer' | 'arraybuffer' | 'fragments';
  /** Bytes given to `send()` that the network has not taken yet. */
  readonly bufferedAmount: number;
  readonly extensions: string;
  readonly isPaused: boolean;
  readonly protocol: string;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly url: string;

  onopen: ((event: WebSocket.Event) => void) | null;
  onerror: ((event: WebSocket.ErrorEvent) => void) | null;
  onclose: ((event: WebSocket.CloseEvent) => void) | null;
  onmessage: ((event: WebSocket.MessageEvent) => void) | null;

  /** Begins the closing handshake. Throws TypeError for a code that can't be sent, RangeError if `data` has over 123 bytes. */
  close(code?: number, data?: string | Buffer): void;
  /** Sends a ping of up to 125 bytes; `mask` is ignored, since the role decides. */
  ping(data?: unknown, mask?: boolean, cb?: (err: Error) => void): void;
  /** Sends a pong of up to 125 bytes. */
  pong(data?: unknown, mask?: boolean, cb?: (err: Error) => void): void;
  /** Sends a message. `cb` is called when the network has taken it, or with the reason why it can't; TypeError for one that is none. */
  send(data: WebSocket.Sendable, cb?: (err?: Error) => void): void;
  send(data: WebSocket.Sendable, options: WebSocket.SendOptions, cb?: (err?: Error) => void): void;
  /** Ends the connection without a closing handshake. */
  terminate(): void;
  /** Leaves what the peer sends in the socket; what had been read before is still emitted. */
  pause(): void;
  resume(): void;

  addEventListener<Type extends keyof WebSocket.WebSocketEventMap>(
    type: Type,
    listener:
      | ((event: WebSocket.WebSocketEventMap[Type]) => void)
      | { handleEvent(event: WebSocket.WebSocketEventMap[Type]): void },
    options?: WebSocket.EventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof WebSocket.WebSocketEventMap>(
    type: Type,
    listener:
      | ((event: WebSocket.WebSocketEventMap[Type]) => void)
      | { handleEvent(event: WebSocket.WebSocketEventMap[Type]): void },
  ): void;

  on<Type extends keyof WebSocket.Events>(
    event: Type,
    listener: (this: WebSocket, ...args: WebSocket.Events[Type]) => void,
  ): this;
  // biome-ignore lint/suspicious/noExplicitAny: a subclass may emit events of its own.
  on(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  once<Type extends keyof WebSocket.Events>(
    event: Type,
    listener: (this: WebSocket, ...args: WebSocket.Events[Type]) => void,
  ): this;
  // biome-ignore lint/suspicious/noExplicitAny: a subclass may emit events of its own.
  once(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
  off<Type extends keyof WebSocket.Events>(
    event: Type,
    listener: (this: WebSocket, ...args: WebSocket.Events[Type]) => void,
  ): this;
  // biome-ignore lint/suspicious/noExplicitAny: a subclass may emit events of its own.
  off(event: string | symbol, listener: (this: WebSocket, ...args: any[]) => void): this;
}

declare namespace WebSocket {
  type RawData = Buffer | ArrayBuffer | Buffer[];
  type Data = string | RawData;
  /** Whatever `Buffer.from` understands, a number (its digits) or a Blob. */
  type Sendable =
    | string
    | number
    | ArrayBufferView
    | ArrayBuffer
    | SharedArrayBuffer
    | Blob
    | readonly number[]
    | { valueOf(): ArrayBuffer }
    | { valueOf(): SharedArrayBuffer }
    | { valueOf(): Uint8Array }
    | { valueOf(): readonly number[] }
    | { valueOf(): string };

  interface SendOptions {
    /** Whether it is a binary message. By default it is if `data` is no string. */
    binary?: boolean | undefined;
    /** `false`: it is not compressed, also where that is agreed. Otherwise it is from `threshold` bytes on. */
    compress?: boolean | undefined;
    /** `false`: more fragments follow. The message leaves when it is whole. */
    fin?: boolean | undefined;
    /** Ignored: the role decides. */
    mask?: boolean | undefined;
  }

  interface Events {
    open: [];
    message: [data: RawData, isBinary: boolean];
    close: [code: number, reason: Buffer];
    error: [error: Error];
    ping: [data: Buffer];
    pong: [data: Buffer];
    /** The server opens the connection with this answer; `open` comes next. */
    upgrade: [response: IncomingMessage];
    /**
     * The server answers something else. With a listener the socket stays CONNECTING until `close()` or `terminate()`, and
     * the answer's body can be read; without one this is an `error`.
     */
    'unexpected-response': [request: ClientRequest, response: IncomingMessage];
  }

  interface Event {
    type: string;
    target: WebSocket;
  }

  interface ErrorEvent extends Event {
    // biome-ignore lint/suspicious/noExplicitAny: as in the types of `ws`.
    error: any;
    message: string;
  }

  interface CloseEvent extends Event {
    wasClean: boolean;
    code: number;
    reason: string;
  }

  interface MessageEvent extends Event {
    data: Data;
  }

  interface WebSocketEventMap {
    open: Event;
    error: ErrorEvent;
    close: CloseEvent;
    message: MessageEvent;
  }

  interface EventListenerOptions {
    once?: boolean | undefined;
  }

  type Pem = string | ArrayBufferView | ArrayBuffer;

  interface ClientOptions {
    /** Of Node's own classes only the TLS options count, before those given here; another one is refused. */
    agent?: unknown;
    auth?: string | undefined;
    autoPong?: boolean | undefined;
    ca?: Pem | Pem[] | undefined;
    cert?: Pem | undefined;
    /** Milliseconds. Default 30,000. */
    closeTimeout?: number | undefined;
    /** Milliseconds for names, TCP, TLS and HTTP together. Default 30,000. */
    handshakeTimeout?: number | undefined;
    headers?: { [name: string]: string | number | readonly string[] | undefined } | undefined;
    key?: Pem | undefined;
    /** An address of this machine to connect from. */
    localAddress?: string | undefined;
    /** Resolves the server's name in the system's place. */
    lookup?: LookupFunction | undefined;
    /** Bytes of a message. Default 100 MiB; 0 is no limit. */
    maxPayload?: number | undefined;
    origin?: string | undefined;
    perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined;
    protocolVersion?: 13 | undefined;
    /** Not of `ws`: an `http:`, `https:` or `socks5:` URL to go through, with credentials if it needs them. */
    proxy?: string | URL | undefined;
    rejectUnauthorized?: boolean | undefined;
    servername?: string | undefined;
    /** Redirects are never followed, events never share a task, and UTF-8 is always checked. */
    followRedirects?: boolean | undefined;
    allowSynchronousEvents?: boolean | undefined;
    skipUTF8Validation?: boolean | undefined;
  }

  interface PerMessageDeflateOptions {
    serverNoContextTakeover?: boolean | undefined;
    clientNoContextTakeover?: boolean | undefined;
    serverMaxWindowBits?: number | undefined;
    clientMaxWindowBits?: number | boolean | undefined;
    threshold?: number | undefined;
    /** Only `level` counts. */
    zlibDeflateOptions?: { level?: number | undefined } | undefined;
  }

  type VerifyClientCallbackSync<Request extends IncomingMessage = IncomingMessage> = (info: {
    origin: string;
    secure: boolean;
    req: Request;
  }) => boolean;

  type VerifyClientCallbackAsync<Request extends IncomingMessage = IncomingMessage> = (
    info: { origin: string; secure: boolean; req: Request },
    callback: (res: boolean, code?: number, message?: string, headers?: OutgoingHttpHeaders) => void,
  ) => void;

  interface ServerOptions<
    Socket extends typeof WebSocket = typeof WebSocket,
    Request extends typeof IncomingMessage = typeof IncomingMessage,
  > {
    allowSynchronousEvents?: boolean | undefined;
    autoPong?: boolean | undefined;
    backlog?: number | undefined;
    clientTracking?: boolean | undefined;
    closeTimeout?: number | undefined;
    /** Chooses a subprotocol, or none. What is no subprotocol is answered 500 and is a `wsClientError`. */
    handleProtocols?: (protocols: Set<string>, request: InstanceType<Request>) => string | false;
    /** Not of `ws`: milliseconds for `verifyClient` to call back, then the client gets 503. Default 30,000. */
    handshakeTimeout?: number | undefined;
    host?: string | undefined;
    maxPayload?: number | undefined;
    /** Not of `ws`: clients that may wait for `verifyClient` to call back; others get 503 at once. Default 1024. */
    maxPendingHandshakes?: number | undefined;
    noServer?: boolean | undefined;
    path?: string | undefined;
    perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined;
    port?: number | undefined;
    server?: HttpServer<Request> | HttpsServer<Request> | undefined;
    skipUTF8Validation?: boolean | undefined;
    verifyClient?:
      | VerifyClientCallbackAsync<InstanceType<Request>>
      | VerifyClientCallbackSync<InstanceType<Request>>
      | undefined;
    /** A subclass of the WebSocket of this package. */
    WebSocket?: Socket | undefined;
  }

  interface AddressInfo {
    address: string;
    family: string;
    port: number;
  }

  /** https://github.com/websockets/ws/blob/master/doc/ws.md#class-websocketserver */
  class WebSocketServer<
    Socket extends typeof WebSocket = typeof WebSocket,
    Request extends typeof IncomingMessage = typeof IncomingMessage,
  > extends EventEmitter {
    /** Throws TypeError unless one of `port`, `server` and `noServer` is there. */
    constructor(options?: ServerOptions<Socket, Request>, callback?: () => void);
    options: ServerOptions<Socket, Request>;
    path: string;
    /** The sockets that are not closed; absent with `clientTracking: false`. */
    clients: Set<InstanceType<Socket>>;
    address(): AddressInfo | string | null;
    /** Takes no more clients; those that are there stay until they close. */
    close(cb?: (err?: Error) => void): void;
    /** Takes over an upgrade of Node's http server; the socket is this server's from then on. */
    handleUpgrade(
      request: InstanceType<Request>,
      socket: Duplex,
      upgradeHead: Buffer,
      callback: (client: InstanceType<Socket>, request: InstanceType<Request>) => void,
    ): void;
    shouldHandle(request: InstanceType<Request>): boolean | Promise<boolean>;

    on<Type extends keyof ServerEvents<Socket, Request>>(
      event: Type,
      listener: (this: this, ...args: ServerEvents<Socket, Request>[Type]) => void,
    ): this;
    // biome-ignore lint/suspicious/noExplicitAny: a subclass may emit events of its own.
    on(event: string | symbol, listener: (this: this, ...args: any[]) => void): this;
    once<Type extends keyof ServerEvents<Socket, Request>>(
      event: Type,
      listener: (this: this, ...args: ServerEvents<Socket, Request>[Type]) => void,
    ): this;
    // biome-ignore lint/suspicious/noExplicitAny: a subclass may emit events of its own.
    once(event: string | symbol, listener: (this: this, ...args: any[]) => void): this;
  }

  interface ServerEvents<Socket extends typeof WebSocket, Request extends typeof IncomingMessage> {
    connection: [socket: InstanceType<Socket>, request: InstanceType<Request>];
    /** Lines may be added. One that is no header is answered 500 and is a `wsClientError`. */
    headers: [headers: string[], request: InstanceType<Request>];
    listening: [];
    close: [];
    error: [error: Error];
    /** Instead of an answer: a request is no handshake, or what a hook wants for its answer can't be written. */
    wsClientError: [error: Error, socket: Duplex, request: InstanceType<Request>];
  }

  class Server<
    Socket extends typeof WebSocket = typeof WebSocket,
    Request extends typeof IncomingMessage = typeof IncomingMessage,
  > extends WebSocketServer<Socket, Request> {}

  /** A stream over a WebSocket, with back-pressure both ways. */
  function createWebSocketStream(socket: WebSocket, options?: DuplexOptions): Duplex;
}

export = WebSocket;
