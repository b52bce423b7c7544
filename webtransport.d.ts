// WebTransport and its server. https://www.w3.org/TR/webtransport/
// The members stand in the order of the IDL; what is not in the IDL stands behind.

import type {
  BufferSource,
  ClientCertificateOptions,
  ClientTls,
  Handler,
  ServerAddress,
  ServerCertificates,
  TlsOptions,
} from './common.js';
import { EventTargetOf } from './common.js';

export type * from './webtransport-diagnostics.js';

/** https://www.w3.org/TR/webtransport/#enumdef-webtransportreliabilitymode */
export type WebTransportReliabilityMode = 'pending' | 'reliable-only' | 'supports-unreliable';

/** https://www.w3.org/TR/webtransport/#enumdef-webtransportcongestioncontrol */
export type WebTransportCongestionControl = 'default' | 'throughput' | 'low-latency';

/** https://www.w3.org/TR/webtransport/#enumdef-webtransporterrorsource */
export type WebTransportErrorSource = 'stream' | 'session';

/** A certificate that is accepted by its hash. https://www.w3.org/TR/webtransport/#dictdef-webtransporthash */
export interface WebTransportHash {
  /** `sha-256`; others are ignored. */
  algorithm: string;
  /** The hash of the certificate's DER. */
  value: BufferSource;
}

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportoptions; the TLS members are Node's. */
export interface WebTransportOptions extends TlsOptions {
  /**
   * Whether the session may share an HTTP/3 connection with others of the same thread that allow it too, go to the same
   * host and port, and have the same options for TLS, streams, `idleTimeoutMs` and `localAddress`; false by default. Both ends then limit
   * what each session may use up, so that none holds up another. A server that does not know such limits, or lets no more
   * sessions share a connection, gets a further connection.
   */
  allowPooling?: boolean;
  /** Always met: sessions go over HTTP/3. */
  requireUnreliable?: boolean;
  /**
   * Headers of the CONNECT request. Those that belong to the connection (`Host`, `Transfer-Encoding`, `Sec-*` and so on) are
   * not sent. TypeError for `wt-available-protocols`.
   */
  headers?: Record<string, string> | Iterable<[string, string]>;
  /** Accepts a server by these hashes alone. NotSupportedError together with `allowPooling`. */
  serverCertificateHashes?: WebTransportHash[];
  /** `throughput` is met (by Cubic, which is also the default), `low-latency` is not. */
  congestionControl?: WebTransportCongestionControl;
  /** `bytes` makes `datagrams.readable` a byte stream, which reads into buffers: 64 KiB are enough for every datagram. */
  datagramsReadableType?: 'bytes';
  /** How many unidirectional streams the server is expected to have open at once; at most 4096 are allowed. */
  anticipatedConcurrentIncomingUnidirectionalStreams?: number | null;
  /** How many bidirectional streams the server is expected to have open at once; at most 4096 are allowed. */
  anticipatedConcurrentIncomingBidirectionalStreams?: number | null;
  /** Application protocols, the preferred one first. */
  protocols?: string[];
  /** How long the server may be silent before the session fails, in milliseconds: at first 30 000. Not in the standard. */
  idleTimeoutMs?: number;
  /**
   * The address of this machine to connect from, an IP address. Only the server's addresses of its family are tried. Sessions that
   * share a connection have the same one. Not in the standard.
   */
  localAddress?: string;
}

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportcloseinfo */
export interface WebTransportCloseInfo {
  closeCode?: number;
  /** The other end hears of at most 1024 bytes of UTF-8. */
  reason?: string;
}

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportconnectionstats; what is not known is absent. */
export interface WebTransportConnectionStats {
  /** Bytes that scripts have sent and QUIC has taken. */
  bytesSent?: number;
  /** What framing and sending again has cost beside them. Absent while QUIC holds more than it has sent. */
  bytesSentOverhead?: number;
  packetsSent?: number;
  bytesLost?: number;
  packetsLost?: number;
  /** Everything that came in UDP packets. */
  bytesReceived?: number;
  /** The smoothed round-trip time, in milliseconds. */
  smoothedRtt?: number;
  /** The shortest round-trip time, in milliseconds. */
  minRtt?: number;
  datagrams: WebTransportDatagramStats;
  /** What congestion control would let a script send, in bits per second. */
  estimatedSendRate: number | null;
  /** Always false: the estimate might be limited by what the application sends. */
  atSendCapacity: boolean;
}

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportdatagramstats; what is not known is absent. */
export interface WebTransportDatagramStats {
  /** Not read before newer ones took their place. */
  droppedIncoming?: number;
  /** Not read within `incomingMaxAge`. */
  expiredIncoming?: number;
  /** Not sent within `outgoingMaxAge`. */
  expiredOutgoing?: number;
}

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportsendoptions */
export interface WebTransportSendOptions {
  /** The group within which `sendOrder` counts; groups share the bandwidth alike. */
  sendGroup?: WebTransportSendGroup | null;
  /** Higher ones are sent first, within the group. At first 0. */
  sendOrder?: number;
}

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportsendstreamoptions */
export interface WebTransportSendStreamOptions extends WebTransportSendOptions {
  /** Waits until the peer allows another stream, instead of rejecting with QuotaExceededError. */
  waitUntilAvailable?: boolean;
}

/** https://www.w3.org/TR/webtransport/#webtransportdatagramswritable */
export class WebTransportDatagramsWritable extends WritableStream<BufferSource> {
  private constructor();
  /** Setting it to a group of another session throws InvalidStateError. */
  sendGroup: WebTransportSendGroup | null;
  sendOrder: number;
}

/** The datagrams of a session. https://www.w3.org/TR/webtransport/#webtransportdatagramduplexstream */
export class WebTransportDatagramDuplexStream {
  private constructor();
  /** A stream of its own for sending datagrams. TypeError for a group of another session, InvalidStateError after the end. */
  createWritable(options?: WebTransportSendOptions): WebTransportDatagramsWritable;
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The largest datagram that can be sent now, in bytes. A larger one is dropped silently. */
  readonly maxDatagramSize: number;
  /** How long a received datagram may wait to be read, in milliseconds; null for no limit. */
  incomingMaxAge: number | null;
  /** How long a datagram may wait to be sent, in milliseconds; null for no limit. */
  outgoingMaxAge: number | null;
  incomingMaxBufferedDatagrams: number;
  outgoingMaxBufferedDatagrams: number;
  /** The older name for what `createWritable()` gives: one stream, always the same. */
  readonly writable: WebTransportDatagramsWritable;
  /** The older name of `incomingMaxBufferedDatagrams`. */
  incomingHighWaterMark: number;
  /** The older name of `outgoingMaxBufferedDatagrams`. */
  outgoingHighWaterMark: number;
}

/** A WebTransport session, of a client or accepted by a WebTransportServer. https://www.w3.org/TR/webtransport/#webtransport */
export class WebTransport {
  /**
   * Begins to connect over HTTP/3. Throws SyntaxError for a URL that is not https: or has a fragment, and for bad
   * protocols; NotSupportedError for options that exclude each other. A failure rejects `ready` and `closed`.
   */
  constructor(url: string | URL, options?: WebTransportOptions);
  /**
   * What the connection has carried. Waits for the session; rejects with InvalidStateError when it has failed. After the end
   * it gives the last figures.
   */
  getStats(): Promise<WebTransportConnectionStats>;
  /**
   * Derives a secret of `outputLength` bytes (1 to 8160) that the other end derives from the same label and context, each of
   * at most 255 bytes. Rejects with RangeError for other lengths, InvalidStateError after the end.
   */
  exportKeyingMaterial(
    label: BufferSource,
    context: BufferSource,
    outputLength: number,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Fulfilled when the session is established. Rejects with a WebTransportError that is the same for all failures: scripts are
   * not to learn what is where. The diagnostics channel `webwire:webtransport:error` and `NODE_DEBUG=webwire` tell the cause.
   */
  readonly ready: Promise<undefined>;
  readonly reliability: WebTransportReliabilityMode;
  readonly congestionControl: WebTransportCongestionControl;
  /** How many unidirectional streams the peer is expected to have open at once, which it is allowed up to 4096. */
  anticipatedConcurrentIncomingUnidirectionalStreams: number | null;
  /** How many bidirectional streams the peer is expected to have open at once, which it is allowed up to 4096. */
  anticipatedConcurrentIncomingBidirectionalStreams: number | null;
  /** The headers of the server's answer, which can't be changed; null before it. */
  readonly responseHeaders: Headers | null;
  /** The application protocol that the server chose, or an empty string. */
  readonly protocol: string;
  /** Fulfilled with the close information when either side closed; rejects when the session broke. */
  readonly closed: Promise<WebTransportCloseInfo>;
  /** Fulfilled when the server asks for the session to end. */
  readonly draining: Promise<undefined>;
  /** Ends the session; streams that are open end with it. */
  close(closeInfo?: WebTransportCloseInfo): void;
  readonly datagrams: WebTransportDatagramDuplexStream;
  /** Opens a stream. Rejects with InvalidStateError after the end, QuotaExceededError when the peer allows no more. */
  createBidirectionalStream(options?: WebTransportSendStreamOptions): Promise<WebTransportBidirectionalStream>;
  readonly incomingBidirectionalStreams: ReadableStream<WebTransportBidirectionalStream>;
  /** Opens a stream. Rejects as `createBidirectionalStream` does. */
  createUnidirectionalStream(options?: WebTransportSendStreamOptions): Promise<WebTransportSendStream>;
  readonly incomingUnidirectionalStreams: ReadableStream<WebTransportReceiveStream>;
  /** A group of streams and datagrams with send orders of their own. InvalidStateError after the end. */
  createSendGroup(): WebTransportSendGroup;
  /** Whether sessions over HTTP/2 exist: false. */
  static readonly supportsReliableOnly: boolean;

  /** Lets the session keep the process alive while it is open, as it does at first. */
  ref(): void;
  /** Lets the process end although the session is open. */
  unref(): void;

  /** Closes it; so does the end of a block with `using`. */
  [Symbol.dispose](): void;
  /** Closes it and waits until it is closed; so does the end of a block with `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** https://www.w3.org/TR/webtransport/#webtransportsendstream */
export class WebTransportSendStream extends WritableStream<BufferSource> {
  private constructor();
  /** Setting it to a group of another session throws InvalidStateError. */
  sendGroup: WebTransportSendGroup | null;
  /** Higher ones are sent first, within the group. */
  sendOrder: number;
  getStats(): Promise<WebTransportSendStreamStats>;
  getWriter(): WebTransportWriter;
}

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportsendstreamstats */
export interface WebTransportSendStreamStats {
  bytesWritten: number;
  /** Only of a stream whose `close()` is fulfilled: before, QUIC does not tell. */
  bytesSent?: number;
  /** As `bytesSent`. */
  bytesAcknowledged?: number;
}

/** https://www.w3.org/TR/webtransport/#webtransportsendgroup */
export class WebTransportSendGroup {
  private constructor();
  /** The sums over the streams of the group. */
  getStats(): Promise<WebTransportSendStreamStats>;
}

/** https://www.w3.org/TR/webtransport/#webtransportreceivestream */
export class WebTransportReceiveStream extends ReadableStream<Uint8Array<ArrayBuffer>> {
  private constructor();
  getStats(): Promise<WebTransportReceiveStreamStats>;
}

/** https://www.w3.org/TR/webtransport/#dictdef-webtransportreceivestreamstats */
export interface WebTransportReceiveStreamStats {
  /** Absent while more may have come than the 128 KiB that are read ahead. */
  bytesReceived?: number;
  bytesRead: number;
}

/** https://www.w3.org/TR/webtransport/#webtransportbidirectionalstream */
export class WebTransportBidirectionalStream {
  private constructor();
  readonly readable: WebTransportReceiveStream;
  readonly writable: WebTransportSendStream;
}

/** https://www.w3.org/TR/webtransport/#webtransportwriter */
export class WebTransportWriter extends WritableStreamDefaultWriter<BufferSource> {
  private constructor();
  /**
   * Writes a chunk that must fit into flow control as a whole. Otherwise rejects with AbortError; the stream lives on
   * unless other writes wait behind, or QUIC has taken a part of the chunk.
   */
  atomicWrite(chunk?: BufferSource): Promise<undefined>;
  /** Throws NotSupportedError: QUIC streams cannot be reset reliably here. */
  commit(): void;
}

/** https://www.w3.org/TR/webtransport/#dictdef-webtransporterroroptions */
export interface WebTransportErrorOptions {
  source?: WebTransportErrorSource;
  streamErrorCode?: number | null;
}

/** What went wrong with a stream or a session. https://www.w3.org/TR/webtransport/#webtransporterror */
export class WebTransportError extends DOMException {
  constructor(message?: string, options?: WebTransportErrorOptions);
  /** The older form, which browsers know. */
  constructor(init: WebTransportErrorOptions & { message?: string; streamErrorCode: number | null });
  readonly source: WebTransportErrorSource;
  /** The peer's code of a reset or stopped stream; null for anything else. */
  readonly streamErrorCode: number | null;
}

/**
 * Options of a WebTransportServer; `cert` and `key`, or `certificates`, must be there. All limits are on by default, and
 * named as those of WebSocketServer where they mean the same.
 */
export interface WebTransportServerOptions extends ServerCertificates, ClientCertificateOptions {
  /** The address to listen on; all addresses of the machine when absent. */
  host?: string;
  /** The UDP port; 0, the default, takes a free one. */
  port?: number;
  /** How long a connection's handshake may take, and then a request to come: 15,000 ms. */
  handshakeTimeoutMs?: number;
  /** How long a request may be without an answer: 30,000 ms. At its end the answer is 503. */
  requestTimeoutMs?: number;
  /** How long a client may take nothing of the answer to a plain request, 30,000 ms, before it is given up. */
  responseTimeoutMs?: number;
  /** How long a client may be silent before its sessions fail, in milliseconds: at first 30 000. */
  idleTimeoutMs?: number;
  /**
   * Makes clients that are silent show that they are there, every `intervalMs` (10,000). `false`, the default, leaves that
   * to the clients: ours and browsers do it by themselves, and one that does not is gone after `idleTimeoutMs`.
   */
  keepAlive?: boolean | { intervalMs?: number };
  /** How many connections there may be at once, 65,536 by default; further ones are refused. */
  maxConnections?: number;
  /**
   * How many sessions one connection may have, 16 by default; further ones are refused (`H3_REQUEST_REJECTED`). A client that
   * does not know limits for each session (draft 14; no browser did in 2026) has one. Each has an equal part of
   * `maxUnreadBytesPerConnection` and room for one and a half streams, so that with the defaults there are 8.
   */
  maxSessionsPerConnection?: number;
  /**
   * How many streams of each kind a client may have open on one connection: 104 by default, 16 to 65,536. Where sessions share
   * a connection each may have so many.
   */
  maxStreamsPerConnection?: number;
  /** How many connections may be in the handshake at once, 1024 by default; further ones are refused. */
  maxPendingHandshakes?: number;
  /**
   * From so many handshakes on, 128 by default, a client must first show that its address is its own (Retry), which costs
   * it a round trip. 0: always.
   */
  maxUnprovenHandshakes?: number;
  /** How many requests may be without an answer at once, 1024 by default; further ones are answered 503. */
  maxPendingRequests?: number;
  /** How many bytes of one stream may wait unread, at least 16,384; 1,250,000 by default. More are held back at the client. */
  maxUnreadBytesPerStream?: number;
  /** The same for all streams of a connection together: 16 MiB by default. */
  maxUnreadBytesPerConnection?: number;
  /** How many bytes may wait for a client to take them, on all streams of a connection together: 8 MiB by default. */
  maxQueuedBytesPerConnection?: number;
  /**
   * Hears each request first, whatever its `origin`: those for sessions, as `WebTransportRequest`, and plain HTTP/3 requests
   * on the same port, as `Request`; `request instanceof Request` tells them apart.
   *
   * Of a request for a session it is WebSocketServer's hook: it may accept or reject it, and what it leaves unanswered when
   * its promise is fulfilled goes to `incomingRequests` or `connection`. A `Response` with a status from 300 on rejects it
   * with that status and those headers.
   *
   * A plain request is answered with the `Response` that it returns or promises; `undefined` is answered 404, and so are
   * plain requests where there is no hook. Content comes and goes as fast as the other end takes it: `request.body` is read
   * from the network when it is read, and the answer's body when the client takes it. Trailers are ignored. When the client
   * goes away `request.signal` aborts and the answer's body is cancelled.
   *
   * If it throws, the client is answered 500 and a warning is emitted; a body that fails resets the answer, so that the
   * client sees that it is not whole.
   */
  onRequest?(request: Request | WebTransportRequest, info: WebTransportRequestInfo): unknown;
  /** Closes the server, as `close()` does. */
  signal?: AbortSignal;
}

/** Who asks. */
export interface WebTransportRequestInfo {
  readonly remoteAddress: ServerAddress;
  /** What TLS says of the client. */
  readonly tls: ClientTls;
}

/** The events of a WebTransportServer. */
export interface WebTransportServerEventMap {
  connection: WebTransportConnectionEvent;
}

/** A session was accepted without being asked for: the short way of a WebTransportServer. */
export interface WebTransportConnectionEvent extends Event {
  readonly socket: WebTransport;
  readonly request: WebTransportRequest;
}

/** A request for a session that waits for `accept` or `reject`. */
export interface WebTransportRequest {
  /** The URL that the client asked for. */
  readonly url: string;
  readonly headers: Headers;
  /** The Origin header, or an empty string. */
  readonly origin: string;
  /** The application protocols that the client offers. */
  readonly protocols: readonly string[];
  readonly remoteAddress: ServerAddress;
  /** What TLS says of the client: the name that it asked for, and its certificate if it was asked for one. */
  readonly tls: ClientTls;
  /** Aborts when the client goes away, or the time for an answer is up. */
  readonly signal: AbortSignal;
  /**
   * Answers 200. Rejects with InvalidStateError when the request is answered already. If the client has gone, the session
   * fails: its `ready` and `closed` reject. Headers that belong to the connection, and Content-Length, are not sent; TypeError
   * for `wt-protocol`.
   */
  accept(options?: { protocol?: string; headers?: Record<string, string> }): Promise<WebTransport>;
  /** Answers with an HTTP status. Throws RangeError for one outside 300 to 599. Of headers as `accept` has it. */
  reject(status: number, options?: { headers?: Record<string, string>; body?: string }): void;
}

export interface WebTransportServerCloseOptions extends WebTransportCloseInfo {
  /** How long sessions may take to end by themselves; 5000 by default. */
  timeoutMs?: number;
}

/**
 * A WebTransport server over HTTP/3. Requests are answered through `incomingRequests`, or all accepted where there is a
 * listener for `connection`.
 */
export class WebTransportServer extends EventTargetOf<WebTransportServerEventMap> {
  /** Begins to listen. Throws TypeError for wrong options. */
  constructor(
    options: WebTransportServerOptions &
      (Required<Pick<ServerCertificates, 'cert' | 'key'>> | Required<Pick<ServerCertificates, 'certificates'>>),
  );
  /**
   * Fulfilled when it listens; rejected with the system's error. That is an unhandled rejection, which ends the process, where
   * nobody looks at it; not so the AbortError of a server that was closed before it listened.
   */
  readonly ready: Promise<void>;
  /** Where it listens. Throws InvalidStateError while it doesn't. */
  address(): ServerAddress;
  /** The sessions that clients ask for, each to be accepted or rejected. */
  readonly incomingRequests: ReadableStream<WebTransportRequest>;
  /** The same requests: `for await (const request of server)`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<WebTransportRequest>;
  onconnection: Handler<WebTransportConnectionEvent>;
  /**
   * Replaces all certificates, for the connections to come; sessions that are open stay. Throws TypeError for what can't be
   * used, and changes nothing then.
   */
  setCertificate(certificates: ServerCertificates): void;
  /**
   * Stops listening and takes no more requests, also on connections that are there; asks all sessions to end (`draining`
   * resolves at the clients) and waits for that; after `timeoutMs` (5000 by default) ends those that are left with
   * `closeCode` and `reason`. Fulfilled when all have ended and the port is free.
   */
  close(options?: WebTransportServerCloseOptions): Promise<void>;
  /** `close()`; so does the end of a block with `using`, which does not wait for it. */
  [Symbol.dispose](): void;
  /** `close()`; so does the end of a block with `await using`, which waits for it. */
  [Symbol.asyncDispose](): Promise<void>;
  /** Lets the server keep the process alive while it listens, as it does at first. */
  ref(): void;
  /** Lets the process end although the server listens. */
  unref(): void;
}

/** A certificate for tests and local servers. */
export interface GeneratedCertificate {
  /** PEM, for a server's `cert`. */
  certificate: string;
  /** PEM, for a server's `key`. */
  key: string;
  /** The SHA-256 of the certificate: `serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }]`. */
  hash: Uint8Array<ArrayBuffer>;
}

/**
 * Makes a self-signed certificate that `serverCertificateHashes` accepts: ECDSA P-256, for `names` (at first localhost,
 * 127.0.0.1 and ::1), for `days` (at first 13; clients refuse more than 14), beginning an hour ago: clocks differ.
 * A name may begin with `*.`. Throws TypeError for what is no host, RangeError for days that are not above 0.
 */
export function generateCertificate(options?: { names?: string[]; days?: number }): GeneratedCertificate;
