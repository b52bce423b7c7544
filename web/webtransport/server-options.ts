// The options of a WebTransportServer, checked and converted before anything listens. Their names are those of
// WebSocketServer's where they mean the same.

import {
  certificateMembers,
  clientCertificateMembers,
  collectCertificates,
  collectClientCertificates,
} from '../server-tls.js';
import {
  type Converter,
  callback,
  DOMString,
  dictionary,
  instance,
  USVString,
  unsignedLong,
  unsignedShort,
} from '../webidl.js';
import { idleTimeoutMember } from './idle-timeout.js';
import type { ListenOptions } from './native.js';

/** What remains in JavaScript. */
export interface ServerOptions {
  readonly listen: ListenOptions;
  /** Hears each request first. */
  readonly onRequest: OnRequest | undefined;
  /** Closes the server. */
  readonly signal: AbortSignal | undefined;
}

export type OnRequest = (request: never, info: never) => unknown;

/** More than a process with the usual memory can hold. */
const MAX_CONNECTIONS = 65_536;
const MAX_SESSIONS_PER_CONNECTION = 16;
/** The specification wants 100 at least. */
const MAX_STREAMS_PER_CONNECTION = 104;
/** Below this HTTP/3 has no room for what it needs itself. */
const LEAST_STREAMS = 16;
/** QUIC makes a place for each of them with the connection: so many of both kinds take it 20 ms and some megabytes. */
const MOST_STREAMS = 65_536;
/** 15 s each at most. */
const MAX_PENDING_HANDSHAKES = 1024;
/** A flood with forged addresses gets no further. */
const MAX_UNPROVEN_HANDSHAKES = 128;
const MAX_PENDING_REQUESTS = 1024;
const MAX_UNREAD_BYTES_PER_STREAM = 1_250_000;
const MAX_UNREAD_BYTES_PER_CONNECTION = 16 * 1024 * 1024;
const MAX_QUEUED_BYTES_PER_CONNECTION = 8 * 1024 * 1024;
/** Less than a packet can't be opened to a peer. */
const LEAST_BYTES = 16_384;
const HANDSHAKE_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 30_000;
const RESPONSE_TIMEOUT_MS = 30_000;
/** As a client does. */
const KEEP_ALIVE_INTERVAL_MS = 10_000;
const CLOSE_MS = 5000;

const { AbortSignal } = globalThis;

/** A whole number that is not below `least`, and not above `most` where there is one. */
function limit(least: number, most = Infinity): Converter<number> {
  const convert = unsignedLong('enforceRange');
  return (value, context) => {
    const number = convert(value, context);
    if (number < least) throw new RangeError(`${context} must be at least ${least}`);
    if (number > most) throw new RangeError(`${context} must be at most ${most}`);
    return number;
  };
}

const keepAliveDictionary = dictionary('WebTransportKeepAlive', {
  intervalMs: { type: limit(1), default: () => KEEP_ALIVE_INTERVAL_MS },
});

/** `false`, or how often, in milliseconds. */
const keepAlive: Converter<number | undefined> = (value, context) =>
  value === false ? undefined : keepAliveDictionary(value === true ? {} : value, context).intervalMs;

const limitMembers = {
  handshakeTimeoutMs: { type: limit(1), default: () => HANDSHAKE_TIMEOUT_MS },
  ...idleTimeoutMember,
  keepAlive: { type: keepAlive },
  maxConnections: { type: limit(0), default: () => MAX_CONNECTIONS },
  maxPendingHandshakes: { type: limit(1), default: () => MAX_PENDING_HANDSHAKES },
  maxPendingRequests: { type: limit(0), default: () => MAX_PENDING_REQUESTS },
  maxQueuedBytesPerConnection: { type: limit(LEAST_BYTES), default: () => MAX_QUEUED_BYTES_PER_CONNECTION },
  maxSessionsPerConnection: { type: limit(1), default: () => MAX_SESSIONS_PER_CONNECTION },
  maxStreamsPerConnection: { type: limit(LEAST_STREAMS, MOST_STREAMS), default: () => MAX_STREAMS_PER_CONNECTION },
  maxUnprovenHandshakes: { type: limit(0), default: () => MAX_UNPROVEN_HANDSHAKES },
  maxUnreadBytesPerConnection: { type: limit(LEAST_BYTES), default: () => MAX_UNREAD_BYTES_PER_CONNECTION },
  maxUnreadBytesPerStream: { type: limit(LEAST_BYTES), default: () => MAX_UNREAD_BYTES_PER_STREAM },
  requestTimeoutMs: { type: limit(1), default: () => REQUEST_TIMEOUT_MS },
  responseTimeoutMs: { type: limit(1), default: () => RESPONSE_TIMEOUT_MS },
} as const;

const limitDictionary = dictionary('WebTransportServerLimits', limitMembers);

const optionDictionary = dictionary('WebTransportServerOptions', {
  ...certificateMembers,
  ...clientCertificateMembers,
  host: { type: DOMString },
  onRequest: { type: callback },
  port: { type: unsignedShort('enforceRange'), default: () => 0 },
  signal: { type: instance('AbortSignal', (value): value is AbortSignal => value instanceof AbortSignal) },
});

/** Throws TypeError for what is wrong, RangeError for what is out of bounds. */
export function convertServerOptions(given: unknown, context: string): ServerOptions {
  const { host, onRequest, port, signal, ...identity } = optionDictionary(given, context);
  const { keepAlive: keepAliveIntervalMs, ...limits } = limitDictionary(given, context);
  const certificates = collectCertificates(identity);
  if (certificates.length === 0) throw new TypeError(`${context}: a server needs a certificate and its key`);
  const clientCertificates = collectClientCertificates(identity);
  const listen: ListenOptions = {
    host,
    port,
    certificates,
    clientCertificates,
    limits: { ...limits, keepAliveIntervalMs },
    servesPlainRequests: onRequest !== undefined,
  };
  return { listen, onRequest, signal };
}

const closeDictionary = dictionary('WebTransportServerCloseOptions', {
  closeCode: { type: unsignedLong(), default: () => 0 },
  reason: { type: USVString, default: () => '' },
  timeoutMs: { type: unsignedLong('enforceRange'), default: () => CLOSE_MS },
});

/** How long a closing server waits for its sessions, and how those end that are left. */
export const convertCloseOptions = closeDictionary;
