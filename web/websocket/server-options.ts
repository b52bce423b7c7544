// The options of a WebSocketServer, checked and converted before anything listens.

import type { Server } from 'node:http';
import { DOMException } from '../errors.js';
import { pemText } from '../tls.js';
import {
  any,
  boolean,
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

/** As the native core takes them. Without a port it does not listen. */
export interface ListenerOptions {
  host?: string;
  port?: number;
  cert?: string;
  key?: string;
  handshakeTimeoutMs: number;
  maxPendingHandshakes: number;
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
const CLOSE_MS = 10_000;
const GOING_AWAY = 1001;
const MAX_REASON_BYTES = 123;
/** Codes that a server may close with: those of RFC 6455 and its registry that may be on the wire, and applications' own. */
const isCloseCode = (code: number): boolean =>
  (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
const { AbortSignal } = globalThis;

const dictionaryOptions = dictionary('WebSocketServerOptions', {
  ...limitMembers,
  cert: { type: any },
  host: { type: DOMString },
  key: { type: any },
  maxConnections: { type: unsignedLong('enforceRange'), default: () => MAX_CONNECTIONS },
  maxPendingHandshakes: { type: unsignedLong('enforceRange'), default: () => MAX_PENDING_HANDSHAKES },
  noServer: { type: boolean, default: () => false },
  onRequest: { type: callback },
  path: { type: DOMString },
  port: { type: unsignedShort('enforceRange') },
  server: { type: any },
  signal: { type: instance('AbortSignal', (value): value is AbortSignal => value instanceof AbortSignal) },
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
const UNSUPPORTED = ['ca', 'perMessageDeflate', 'verifyClient'];
/** What only a listener of one's own has. */
const LISTENING = ['cert', 'host', 'key', 'port'] as const;

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
    limits: { closeTimeoutMs, maxMessageSize },
  };
  if (listens) {
    listener.port = options.port ?? 0;
    if (options.host !== undefined) listener.host = options.host;
    if (options.cert !== undefined) listener.cert = pemText(options.cert, 'cert');
    if (options.key !== undefined) listener.key = pemText(options.key, 'key');
  } else {
    const misplaced = LISTENING.find((name) => options[name] !== undefined);
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
