// The options of a WebSocketServer, checked and converted before anything listens.

import type { Server } from 'node:http';
import { DOMException } from '../errors.js';
import {
  type ClientCertificates,
  certificateMembers,
  clientCertificateMembers,
  collectCertificates,
  collectClientCertificates,
  type NamedCertificate,
} from '../server-tls.js';
import {
  any,
  boolean,
  type Converter,
  callback,
  DOMString,
  dictionary,
  instance,
  isObject,
  USVString,
  unsignedLong,
  unsignedShort,
} from '../webidl.js';
import { type Limits, limitMembers, refuseUnsupported } from './options.js';
import { type Deflate, perMessageDeflate } from './per-message-deflate.js';

/** As the native core takes them. Without a port and a path it does not listen. */
export interface ListenerOptions {
  host?: string;
  port?: number;
  socketPath?: string;
  certificates?: NamedCertificate[];
  clientCertificates?: ClientCertificates;
  handshakeTimeoutMs: number;
  maxPendingHandshakes: number;
  deflate?: Deflate;
  limits: Limits;
}

/** What remains in JavaScript. */
export interface ServerOptions {
  readonly listener: ListenerOptions;
  /** Whose upgrades are served. */
  readonly attachTo: Server | undefined;
  /** The one path that is served. */
  readonly path: string | undefined;
  /** Clients at once, those that wait for their answer among them. */
  readonly maxConnections: number;
  /** Hears each request first. */
  readonly onRequest: ((request: never) => unknown) | undefined;
  /** Closes the server. */
  readonly signal: AbortSignal | undefined;
}

const MAX_PENDING_HANDSHAKES = 1024;
/** More than a process with the usual limits has descriptors for. */
const MAX_CONNECTIONS = 65_536;
/** As much as the largest message that is taken. */
const MAX_QUEUED_BYTES = 128 * 1024 * 1024;
/** A dead peer is found in a minute and a half; ten thousand idle ones cost 170 pings a second. */
const KEEP_ALIVE_INTERVAL_MS = 60_000;
const KEEP_ALIVE_TIMEOUT_MS = 30_000;
const CLOSE_MS = 10_000;
const GOING_AWAY = 1001;
const MAX_REASON_BYTES = 123;
/** Codes that a server may close with: those of RFC 6455 and its registry that may be on the wire, and applications' own. */
const isCloseCode = (code: number): boolean =>
  (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
const { AbortSignal } = globalThis;

const keepAliveDictionary = dictionary('WebSocketKeepAlive', {
  intervalMs: { type: unsignedLong('enforceRange'), default: () => KEEP_ALIVE_INTERVAL_MS },
  timeoutMs: { type: unsignedLong('enforceRange'), default: () => KEEP_ALIVE_TIMEOUT_MS },
});

/** `false`, or how often and how long; in the native core's words. */
const keepAlive: Converter<Pick<Limits, 'keepAliveIntervalMs' | 'keepAliveTimeoutMs'>> = (value, context) => {
  if (value === false) return {};
  const { intervalMs, timeoutMs } = keepAliveDictionary(value === true ? {} : value, context);
  if (intervalMs === 0 || timeoutMs === 0) throw new RangeError(`${context}: its times must be at least 1`);
  return { keepAliveIntervalMs: intervalMs, keepAliveTimeoutMs: timeoutMs };
};

const dictionaryOptions = dictionary('WebSocketServerOptions', {
  ...limitMembers,
  ...certificateMembers,
  ...clientCertificateMembers,
  host: { type: DOMString },
  keepAlive: { type: keepAlive, default: () => keepAlive({}, 'keepAlive') },
  maxConnections: { type: unsignedLong('enforceRange'), default: () => MAX_CONNECTIONS },
  maxPendingHandshakes: { type: unsignedLong('enforceRange'), default: () => MAX_PENDING_HANDSHAKES },
  maxQueuedBytes: { type: unsignedLong('enforceRange'), default: () => MAX_QUEUED_BYTES },
  noServer: { type: boolean, default: () => false },
  onRequest: { type: callback },
  path: { type: DOMString },
  perMessageDeflate: { type: perMessageDeflate },
  port: { type: unsignedShort('enforceRange') },
  server: { type: any },
  signal: { type: instance('AbortSignal', (value): value is AbortSignal => value instanceof AbortSignal) },
  socketPath: { type: DOMString },
});

const closeDictionary = dictionary('WebSocketServerCloseOptions', {
  code: { type: unsignedShort('enforceRange'), default: () => GOING_AWAY },
  reason: { type: USVString, default: () => '' },
  timeoutMs: { type: unsignedLong('enforceRange'), default: () => CLOSE_MS },
});

/** What all sockets are closed with. Throws as WebSocket's `close()` does, but takes the codes of servers too. */
export function convertCloseOptions(given: unknown): { code: number; reason: string; timeoutMs: number } {
  const options = closeDictionary(given, 'options');
  if (!isCloseCode(options.code)) {
    throw new DOMException(`${options.code} is no code that a server may close with`, 'InvalidAccessError');
  }
  if (Buffer.byteLength(options.reason, 'utf8') > MAX_REASON_BYTES) {
    throw new DOMException(`The reason has more than ${MAX_REASON_BYTES} bytes`, 'SyntaxError');
  }
  return options;
}

/** What the surface has and this version does not: better refused than ignored. */
const UNSUPPORTED = ['verifyClient'];
/** What only a listener of one's own has. */
const LISTENING = ['ca', 'cert', 'certificates', 'host', 'key', 'port', 'requestCert', 'socketPath'] as const;

/** Throws TypeError for what is wrong, RangeError for what is out of bounds. */
export function convertServerOptions(given: unknown): ServerOptions {
  const options = dictionaryOptions(given, 'options');
  if (isObject(given)) refuseUnsupported(given, UNSUPPORTED);
  const { closeTimeoutMs, handshakeTimeoutMs, maxMessageSize, maxPendingHandshakes } = options;
  if (maxPendingHandshakes === 0) throw new RangeError('maxPendingHandshakes must be at least 1');
  const attachTo = options.server ?? undefined;
  if (attachTo !== undefined && !isHttpServer(attachTo)) throw new TypeError('options: server is not an http.Server');
  if (attachTo !== undefined && options.noServer)
    throw new TypeError('options: server and noServer exclude each other');
  const listens = attachTo === undefined && !options.noServer;
  const listener: ListenerOptions = {
    handshakeTimeoutMs,
    maxPendingHandshakes,
    limits: { closeTimeoutMs, maxMessageSize, maxQueuedBytes: options.maxQueuedBytes, ...options.keepAlive },
  };
  if (options.perMessageDeflate !== undefined) listener.deflate = options.perMessageDeflate;
  if (listens) {
    if (options.socketPath === '') throw new TypeError('options: socketPath is empty');
    if (options.socketPath === undefined) listener.port = options.port ?? 0;
    else if (options.port === undefined && options.host === undefined) listener.socketPath = options.socketPath;
    else throw new TypeError('options: socketPath excludes host and port');
    if (options.host !== undefined) listener.host = options.host;
    const certificates = collectCertificates(options);
    if (certificates.length > 0) listener.certificates = certificates;
    const clientCertificates = collectClientCertificates(options);
    if (clientCertificates !== undefined) {
      if (certificates.length === 0) throw new TypeError('options: requestCert is for a server with a certificate');
      listener.clientCertificates = clientCertificates;
    }
  } else {
    const misplaced = LISTENING.find((name) => options[name] !== undefined && options[name] !== false);
    if (misplaced !== undefined) throw new TypeError(`options: ${misplaced} is for a listener of its own`);
  }
  const { maxConnections, onRequest, path, signal } = options;
  return { listener, attachTo, maxConnections, onRequest, path, signal };
}

/** By what is used of it: a framework's server need not be Node's class. */
function isHttpServer(value: unknown): value is Server {
  return (
    isObject(value) &&
    ['on', 'off', 'listenerCount', 'address'].every((name) => typeof Reflect.get(value, name) === 'function')
  );
}
