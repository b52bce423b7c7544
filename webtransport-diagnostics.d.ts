// What subscribers of the diagnostics channels `webwire:webtransport:…` get, and a script must not.

import type { WebTransport, WebTransportRequest } from './webtransport.js';

/** What subscribers of `webwire:webtransport:open` get. */
export interface WebTransportOpenMessage {
  readonly webtransport: WebTransport;
  /** Without user and password. */
  readonly url: string;
  /** The application protocol that was chosen, or an empty string. */
  readonly protocol: string;
}

/** What subscribers of `webwire:webtransport:close` get: a session has ended in good order. */
export interface WebTransportCloseMessage {
  readonly webtransport: WebTransport;
  readonly url: string;
  readonly closeCode: number;
  readonly reason: string;
}

/** What subscribers of `webwire:webtransport:error` get: there is no session, or it broke. */
export interface WebTransportErrorMessage {
  readonly webtransport: WebTransport;
  readonly url: string;
  readonly error: WebTransportFailure;
}

/** What subscribers of `webwire:webtransport:server:listening` get. */
export interface WebTransportServerListeningMessage {
  /** A WebTransportServer. */
  readonly server: object;
  readonly address: { readonly address: string; readonly port: number };
}

/** What subscribers of `webwire:webtransport:server:request` get: a request that the server's application hears of. */
export interface WebTransportServerRequestMessage {
  readonly server: object;
  /** For a session, or a plain one. */
  readonly request: WebTransportRequest | Request;
}

/** What subscribers of `webwire:webtransport:server:connection` get: a request has been accepted. */
export interface WebTransportServerConnectionMessage {
  readonly server: object;
  readonly request: WebTransportRequest;
  readonly webtransport: WebTransport;
}

/**
 * What subscribers of `webwire:webtransport:server:reject` get: a client has been refused, or has failed before it got what
 * it came for. Answers of the application to plain requests are no refusals, whatever their status.
 */
export interface WebTransportServerRejectMessage {
  readonly server: object;
  /** Absent if the application has not heard of it. */
  readonly request: WebTransportRequest | Request | undefined;
  /**
   * `address` and `port` are the client's, `status` is what was answered, if anything was. Codes: `ERR_REJECTED` (by the
   * application), `ERR_REQUEST_HOOK`, `ERR_REQUEST_GONE`, `ERR_NOT_SERVED`, `ERR_TOO_MANY_CONNECTIONS`,
   * `ERR_TOO_MANY_HANDSHAKES`, `ERR_TOO_MANY_SESSIONS`, `ERR_TOO_MANY_REQUESTS`, `ERR_SERVER_CLOSED`, `ERR_HANDSHAKE_REQUEST`
   * (a sound request that is not served: 400, 421, 431, 501), `ERR_HTTP3_PROTOCOL`, `ERR_QUIC_PROTOCOL`, `EPROTO`,
   * `ETIMEDOUT` …
   */
  readonly error: WebTransportFailure;
  /**
   * How many more were not let in right behind this one, of whom nothing else is known: the network core keeps 64 until
   * JavaScript looks at them, which it does within milliseconds unless a script keeps it busy.
   */
  readonly more?: number;
}

/** What subscribers of `webwire:webtransport:server:close` get: the server and all its sessions are closed. */
export interface WebTransportServerCloseMessage {
  readonly server: object;
}

/** What subscribers of `webwire:webtransport:server:error` get: it can't listen. */
export interface WebTransportServerErrorMessage {
  readonly server: object;
  /** What the server's `ready` is rejected with. */
  readonly error: Error;
}

/** Why there is no session, or no longer, in the manner of Node's system errors. */
export interface WebTransportFailure extends Error {
  /**
   * What was under way. Of a client: `settings` is the wait for what the server understands, `request` that for its answer,
   * `session` the open session, `abort` a `close()` of the script before it. Of a client that a server refuses: `connect`,
   * `tls`, `settings`, and `handshake` for all that it may ask for on its connection.
   */
  readonly phase: 'dns' | 'connect' | 'tls' | 'settings' | 'request' | 'handshake' | 'session' | 'abort';
  /** `ENOTFOUND`, `ETIMEDOUT`, `ECONNRESET`, `CERT_HAS_EXPIRED`, `ERR_REQUEST_STATUS`, `ERR_CLOSED_BY_PEER` … */
  readonly code: string;
  /** Of the answer to the request. */
  readonly status?: number;
  /** Of the client that a server refuses. */
  readonly address?: string;
  readonly port?: number;
}
