// The arguments of `new WebSocket` and `new WebSocketStream`, checked and converted before anything is dialled.
// https://websockets.spec.whatwg.org/#dom-websocket-websocket, https://whatpr.org/websockets/48.html#dom-websocketstream-websocketstream

import { constants } from 'node:buffer';
import { isIP } from 'node:net';
import { DOMException } from '../errors.js';
import { NOT_IN_A_VALUE, TOKEN } from '../http-header.js';
import { ipAddress } from '../ip-address.js';
import { location } from '../location.js';
import { convertTlsOptions, type NativeTlsOptions, type TlsOptions, trustWhatNodeTrusts } from '../tls.js';
import {
  any,
  ByteString,
  boolean,
  type Converter,
  callback,
  DOMString,
  dictionary,
  isObject,
  nullable,
  sequence,
  USVString,
  unsignedLong,
} from '../webidl.js';
import { basicCredentials } from './credentials.js';
import { type Lookup, lookUp, type Resolving } from './lookup.js';
import { type Deflate, perMessageDeflate } from './per-message-deflate.js';
import { type ProxyServer, proxyURL } from './proxy.js';
import { unixSocket } from './unix-url.js';

/** Limits of an open connection, as the native core takes them. */
export interface Limits {
  maxMessageSize: number;
  closeTimeoutMs: number;
  /** `false`: the script answers pings. */
  autoPong?: boolean;
  /** `true`: messages are heard until the peer's Close frame. */
  hearsUntilClose?: boolean;
  maxQueuedBytes?: number;
  keepAliveIntervalMs?: number;
  keepAliveTimeoutMs?: number;
}

/** Where to and how, as the native core takes it. */
export interface Destination {
  host: string;
  port: number;
  /** The script resolves the host's name. */
  looksUp: boolean;
  proxy?: ProxyServer;
  /** A socket of the file system, in the place of host and port. */
  socketPath?: string;
  localAddress?: string;
  authority: string;
  target: string;
  protocols: string[];
  headers: string[];
  tls?: NativeTlsOptions;
  handshakeTimeoutMs: number;
  deflate?: Deflate;
  serializeHandshakes: boolean;
  /** The script hears the server's answer as it came. */
  hearsAnswer?: boolean;
  limits: Limits;
}

const { MAX_STRING_LENGTH } = constants;
/** What undici allows: far above what scripts exchange, and far below what hurts. */
const MAX_MESSAGE_SIZE = 128 * 1024 * 1024;
const HANDSHAKE_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 10_000;

/** What the opening handshake itself sends. */
export const RESERVED =
  /^(connection|upgrade|content-length|transfer-encoding|te|trailer|keep-alive|expect|sec-websocket-.*)$/i;

/** Name and value in turn, from pairs or a record. Throws TypeError for what must not stand in a header. */
export const flatHeaders: Converter<string[]> = (value, context) => {
  if (!isObject(value)) throw new TypeError(`${context} is neither an object nor pairs`);
  const pairs: unknown[][] = Symbol.iterator in value ? sequence(sequence(any))(value, context) : Object.entries(value);
  const flat: string[] = [];
  for (const pair of pairs) {
    if (pair.length !== 2) throw new TypeError(`${context}: a pair has a name and a value`);
    const name = ByteString(pair[0], `${context}: a name`);
    const text = ByteString(pair[1], `${context}: ${name}`).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
    if (!TOKEN.test(name)) throw new TypeError(`${context}: '${name}' is not a header name`);
    if (RESERVED.test(name)) throw new TypeError(`${context}: ${name} belongs to the handshake`);
    if (NOT_IN_A_VALUE.test(text)) throw new TypeError(`${context}: the value of ${name} has a control character`);
    flat.push(name, text);
  }
  return flat;
};

const enforcedLong = unsignedLong('enforceRange');

/** A text message becomes a string, and no string is longer than this. */
const messageSize: Converter<number> = (value, context) => {
  const size = enforcedLong(value, context);
  if (size > MAX_STRING_LENGTH) throw new RangeError(`${context} is above ${MAX_STRING_LENGTH}`);
  return size;
};

/** Members that clients and servers share. */
export const limitMembers = {
  closeTimeoutMs: { type: enforcedLong, default: () => CLOSE_TIMEOUT_MS },
  handshakeTimeoutMs: { type: enforcedLong, default: () => HANDSHAKE_TIMEOUT_MS },
  maxMessageSize: { type: messageSize, default: () => MAX_MESSAGE_SIZE },
} as const;

/** By its members: a realm like jsdom's has a class of its own. */
const abortSignal: Converter<AbortSignal> = (value, context) => {
  const { aborted, addEventListener } = Object(value) as Partial<AbortSignal>;
  if (typeof aborted !== 'boolean' || typeof addEventListener !== 'function') {
    throw new TypeError(`${context} is not an AbortSignal`);
  }
  return value as AbortSignal;
};

/** What Node adds, for both classes. */
const nodeMembers = {
  ...limitMembers,
  headers: { type: flatHeaders, default: (): string[] => [] },
  localAddress: { type: nullable(ipAddress) },
  lookup: { type: nullable(callback) },
  perMessageDeflate: { type: perMessageDeflate, default: () => perMessageDeflate(true, 'perMessageDeflate') },
  proxy: { type: nullable(proxyURL) },
  serializeHandshakes: { type: boolean, default: () => true },
} as const;

const clientOptions = dictionary('WebSocketOptions', {
  ...nodeMembers,
  protocols: { type: any },
  signal: { type: nullable(abortSignal) },
});

/** https://whatpr.org/websockets/48.html#dictdef-websocketstreamoptions */
const streamOptions = dictionary('WebSocketStreamOptions', {
  ...nodeMembers,
  protocols: { type: sequence(USVString) },
  signal: { type: abortSignal },
});

/** Throws NotSupportedError for an option that would be ignored. */
export function refuseUnsupported(options: object, names: readonly string[]): void {
  for (const name of names) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined && value !== null && value !== false) {
      throw new DOMException(`The option ${name} is not supported`, 'NotSupportedError');
    }
  }
}

function syntaxError(message: string): DOMException {
  return new DOMException(message, 'SyntaxError');
}

/** Steps 1 to 6 of the constructor: the URL's record. */
export function convertURL(url: string): URL {
  // 1.
  const base = location().href;
  // 2. 3.
  if (!URL.canParse(url, base)) throw syntaxError(`'${url}' is not a URL`);
  const record = new URL(url, base);
  // 4.
  if (record.protocol === 'http:') record.protocol = 'ws:';
  else if (record.protocol === 'https:') record.protocol = 'wss:';
  // 5. Differs from the spec: `ws+unix:` is known as well.
  if (record.protocol !== 'ws:' && record.protocol !== 'wss:' && record.protocol !== 'ws+unix:') {
    throw syntaxError(`The URL's scheme must be ws or wss, not '${record.protocol.slice(0, -1)}'`);
  }
  // 6. An empty fragment counts as well.
  if (record.href.includes('#')) throw syntaxError(`The URL '${record.href}' has a fragment`);
  return record;
}

const protocolSequence = sequence(DOMString);

/** `(DOMString or sequence<DOMString>)`, and step 7. */
function convertProtocols(value: unknown): string[] {
  return isSequence(value) ? protocolSequence(value, 'protocols') : [DOMString(value, 'protocols')];
}

/** Whether Web IDL takes an object for a sequence. */
function isSequence(value: unknown): boolean {
  const method: unknown = isObject(value) ? Reflect.get(value, Symbol.iterator) : undefined;
  return method !== undefined && method !== null;
}

/** Step 8. */
function validateProtocols(protocols: string[]): void {
  const seen = new Set<string>();
  for (const protocol of protocols) {
    if (!TOKEN.test(protocol)) throw syntaxError(`'${protocol}' is not a subprotocol`);
    const folded = protocol.toLowerCase();
    if (seen.has(folded)) throw syntaxError(`The subprotocol '${protocol}' is there twice`);
    seen.add(folded);
  }
}

/** The arguments of the constructor. */
export interface Arguments {
  record: URL;
  destination: Destination;
  /** Has the name of the host to connect to, the proxy's if there is one, resolved by the script. */
  lookup: ((connection: Resolving) => void) | undefined;
  signal: AbortSignal | undefined;
}

/** The second argument: protocols as the standard has it, or an object that is no sequence: our options. */
export function convertArguments(url: string, second: unknown): Arguments {
  const isOptions = isObject(second) && !isSequence(second) && typeof second !== 'function';
  const given: TlsOptions & object = isOptions ? second : {};
  const options = clientOptions(given, 'options');
  const asked = isOptions ? options.protocols : second;
  const protocols = asked === undefined ? [] : convertProtocols(asked);
  // 1. to 6.
  const made = createDestination(convertURL(url), options, given);
  validateProtocols(protocols);
  made.destination.protocols = protocols;
  return made;
}

/** Steps 1 to 4 of `new WebSocketStream`. */
export function convertStreamArguments(url: string, second: unknown): Arguments {
  const options = streamOptions(second, 'options');
  // 1. 2.
  const made = createDestination(convertURL(url), options, isObject(second) ? second : {});
  // 3. 4.
  const protocols = options.protocols ?? [];
  validateProtocols(protocols);
  made.destination.protocols = protocols;
  return made;
}

function createDestination(
  record: URL,
  options: ReturnType<typeof clientOptions> | ReturnType<typeof streamOptions>,
  given: TlsOptions & object,
): Arguments {
  const secure = record.protocol === 'wss:';
  const { closeTimeoutMs, handshakeTimeoutMs, maxMessageSize, headers, localAddress, serializeHandshakes } = options;
  const tls = convertTlsOptions(given);
  const socket = record.protocol === 'ws+unix:' ? unixSocket(record) : undefined;
  const host = socket === undefined ? record.hostname.replace(/^\[(.*)\]$/, '$1') : '127.0.0.1';
  const proxy = options.proxy ?? undefined;
  if (socket !== undefined && proxy !== undefined) throw new TypeError('There is no proxy to a ws+unix: URL');
  const name = proxy?.host ?? host;
  const { lookup } = options;
  const looksUp = lookup !== undefined && lookup !== null && isIP(name) === 0;
  const destination: Destination = {
    host,
    looksUp,
    port: record.port === '' ? (secure ? 443 : 80) : Number(record.port),
    authority: socket === undefined ? record.host : 'localhost',
    target: socket?.target ?? record.pathname + record.search,
    protocols: [],
    headers: withOrigin(withCredentials(record, withOneHost(headers))),
    handshakeTimeoutMs,
    serializeHandshakes,
    limits: { closeTimeoutMs, maxMessageSize },
  };
  if (secure) destination.tls = tls;
  if (typeof localAddress === 'string') destination.localAddress = localAddress;
  if (options.perMessageDeflate !== undefined) destination.deflate = options.perMessageDeflate;
  if (proxy !== undefined) destination.proxy = proxy;
  if (socket !== undefined) destination.socketPath = socket.path;
  // The server's certificate may be let pass; the proxy gets our credentials.
  if (proxy?.tls !== undefined && tls.ca !== undefined) proxy.tls.ca = tls.ca;
  if ([destination.tls, proxy?.tls].some((one) => one !== undefined && one.ca === undefined)) trustWhatNodeTrusts();
  return {
    record,
    destination,
    lookup: looksUp ? (connection) => lookUp(lookup as Lookup, name, connection) : undefined,
    signal: options.signal ?? undefined,
  };
}

/** Differs from the spec: user and password of the URL are sent at once, since no dialog can ask for them later. */
function withCredentials(record: URL, headers: string[]): string[] {
  const credentials = basicCredentials(record);
  return credentials === undefined || has(headers, 'authorization')
    ? headers
    : [...headers, 'Authorization', credentials];
}

/** Two of them would mean one server to one reader and another one to the next. */
function withOneHost(headers: string[]): string[] {
  const hosts = headers.filter((text, index) => index % 2 === 0 && text.toLowerCase() === 'host');
  if (hosts.length > 1) throw new TypeError('options: headers: Host is there twice');
  return headers;
}

function withOrigin(headers: string[]): string[] {
  const { origin } = location();
  return origin === undefined || has(headers, 'origin') ? headers : [...headers, 'Origin', origin];
}

function has(headers: string[], name: string): boolean {
  return headers.some((text, index) => index % 2 === 0 && text.toLowerCase() === name);
}
