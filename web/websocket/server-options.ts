// The options of a WebSocketServer, checked and converted before anything listens.

import type { Server } from 'node:http';
import { pemText } from '../tls.js';
import { any, boolean, DOMString, dictionary, isObject, unsignedLong, unsignedShort } from '../webidl.js';
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
}

const MAX_PENDING_HANDSHAKES = 1024;
const CLOSE_MS = 10_000;

const dictionaryOptions = dictionary('WebSocketServerOptions', {
  ...limitMembers,
  cert: { type: any },
  host: { type: DOMString },
  key: { type: any },
  maxPendingHandshakes: { type: unsignedLong('enforceRange'), default: () => MAX_PENDING_HANDSHAKES },
  noServer: { type: boolean, default: () => false },
  path: { type: DOMString },
  port: { type: unsignedShort('enforceRange') },
  server: { type: any },
});

export const closeOptions = dictionary('WebSocketServerCloseOptions', {
  timeoutMs: { type: unsignedLong('enforceRange'), default: () => CLOSE_MS },
});

/** What the surface has and this version does not: better refused than ignored. */
const UNSUPPORTED = ['ca', 'perMessageDeflate', 'signal', 'verifyClient'];
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
  return { listener, attachTo, path: options.path };
}

/** By what is used of it: a framework's server need not be Node's class. */
function isHttpServer(value: unknown): value is Server {
  return (
    isObject(value) &&
    ['on', 'off', 'listenerCount', 'address'].every((name) => typeof Reflect.get(value, name) === 'function')
  );
}
