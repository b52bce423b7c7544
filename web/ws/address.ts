// The arguments of `new WebSocket` as `ws` has them → where to connect to and how.
// https://github.com/websockets/ws/blob/master/doc/ws.md#new-websocketaddress-protocols-options

import { constants } from 'node:buffer';
import { Agent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import { DOMException } from '../errors.js';
import { TOKEN } from '../http-header.js';
import type { TlsOptions } from '../tls.js';
import { unsignedLong } from '../webidl.js';
import type { Lookup } from '../websocket/lookup.js';
import {
  type Arguments,
  convertArguments,
  type Destination,
  RESERVED,
  refuseUnsupported,
} from '../websocket/options.js';
import { convertDeflate } from './deflate.js';

/** What a connection needs to know of the options, the client's or the server's. */
export interface LimitOptions {
  autoPong?: boolean | undefined;
  closeTimeout?: number | undefined;
  maxPayload?: number | undefined;
}

export interface ClientOptions extends LimitOptions, TlsOptions {
  agent?: unknown;
  auth?: string | undefined;
  handshakeTimeout?: number | undefined;
  headers?: Record<string, unknown> | undefined;
  origin?: string | undefined;
  perMessageDeflate?: unknown;
  protocols?: string | string[] | undefined;
  protocolVersion?: number | undefined;
}

const { MAX_STRING_LENGTH } = constants;
const MAX_PAYLOAD = 100 * 1024 * 1024;
const CLOSE_TIMEOUT_MS = 30_000;
const milliseconds = unsignedLong('enforceRange');
const VERSION = 13;
const SCHEMES = ['ws:', 'wss:', 'http:', 'https:', 'ws+unix:'];

/** What can't be done here and would change what the program means. */
const UNSUPPORTED = [
  'checkServerIdentity',
  'ciphers',
  'createConnection',
  'crl',
  'family',
  'finishRequest',
  'generateMask',
  'maxVersion',
  'minVersion',
  'passphrase',
  'pfx',
  'secureContext',
];
/** Options that `new WebSocket` of webwire takes under the same name, or refuses. */
const PASSED_ON = ['ca', 'cert', 'key', 'servername', 'rejectUnauthorized', 'localAddress', 'lookup', 'proxy'] as const;

/** What `new WebSocket` makes of its arguments. */
interface Converted extends Arguments {
  /** What the script's `lookup` has failed with. */
  readonly lookupFailure: () => Error | undefined;
}

/** Throws SyntaxError, RangeError and TypeError as `ws` does, NotSupportedError for options that would be ignored. */
export function convertAddress(address: unknown, second: unknown, third: ClientOptions | undefined): Converted {
  const secondIsOptions = typeof second === 'object' && second !== null && !Array.isArray(second);
  const options: ClientOptions = (secondIsOptions ? (second as ClientOptions) : third) ?? {};
  const given = second === undefined || secondIsOptions ? options.protocols : second;
  const { protocolVersion = VERSION } = options;
  if (protocolVersion !== VERSION) {
    throw new RangeError(`Unsupported protocol version: ${protocolVersion} (supported versions: ${VERSION})`);
  }
  refuseUnsupported(options, UNSUPPORTED);
  const url = convertURL(address);
  const limits = convertLimits(options);
  const forEngine: Record<string, unknown> = {
    protocols: convertProtocols(given),
    headers: convertHeaders(options, url),
    closeTimeoutMs: limits.closeTimeoutMs,
    maxMessageSize: limits.maxMessageSize,
    perMessageDeflate: convertDeflate(options.perMessageDeflate ?? true) ?? false,
    serializeHandshakes: false,
  };
  const { handshakeTimeout } = options;
  if (handshakeTimeout !== undefined && handshakeTimeout > 0) forEngine.handshakeTimeoutMs = handshakeTimeout;
  // An agent's options come first, as in Node.
  const source: Record<string, unknown> = { ...options, ...agentOptions(options.agent) };
  for (const name of PASSED_ON) {
    const value = source[name];
    // Without a name to ask for, and to check, it is the host's.
    if (value !== undefined && value !== null && !(name === 'servername' && value === '')) forEngine[name] = value;
  }
  let failure: Error | undefined;
  if (typeof forEngine.lookup === 'function') {
    forEngine.lookup = watched(forEngine.lookup as Lookup, (error) => {
      failure = error;
    });
  }
  const made = convertArguments(url.href, forEngine);
  Object.assign(made.destination.limits, limits);
  made.destination.hearsAnswer = true;
  return { ...made, lookupFailure: () => failure };
}

/** A `lookup` of which it is known what its first answer has failed with. */
function watched(lookup: Lookup, failed: (error: Error) => void): Lookup {
  return (hostname, options, callback) => {
    let isAnswered = false;
    const fail = (error: unknown): void => {
      if (!isAnswered && error instanceof Error) failed(error);
      isAnswered = true;
    };
    try {
      lookup(hostname, options, (error, ...found) => {
        fail(error);
        callback(error, ...found);
      });
    } catch (error) {
      fail(error);
      throw error;
    }
  };
}

/** The limits of a connection in the engine's words, with `ws`'s defaults. Throws TypeError for what is no time. */
export function convertLimits(options: LimitOptions): Destination['limits'] {
  const { autoPong = true, closeTimeout = CLOSE_TIMEOUT_MS, maxPayload = MAX_PAYLOAD } = options;
  return {
    autoPong: Boolean(autoPong),
    closeTimeoutMs: milliseconds(closeTimeout, 'closeTimeout'),
    hearsUntilClose: true,
    // 0 is no limit; a text message becomes a string, and no string is longer than this.
    maxMessageSize: maxPayload > 0 ? Math.min(maxPayload, MAX_STRING_LENGTH) : MAX_STRING_LENGTH,
  };
}

function convertURL(address: unknown): URL {
  let url: URL;
  try {
    url = new URL(address as string);
  } catch {
    throw new SyntaxError(`Invalid URL: ${address}`);
  }
  if (!SCHEMES.includes(url.protocol)) {
    throw new SyntaxError('The URL\'s protocol must be one of "ws:", "wss:", "http:", "https:", or "ws+unix:"');
  }
  if (url.hash !== '') throw new SyntaxError('The URL contains a fragment identifier');
  url.hash = '';
  return url;
}

function convertProtocols(given: unknown): string[] {
  const protocols: unknown[] = given === undefined ? [] : Array.isArray(given) ? given : [given];
  const seen = new Set<string>();
  for (const protocol of protocols) {
    const valid = typeof protocol === 'string' && TOKEN.test(protocol) && !seen.has(protocol.toLowerCase());
    if (!valid) throw new SyntaxError('An invalid or duplicated subprotocol was specified');
    seen.add(protocol.toLowerCase());
  }
  return protocols as string[];
}

/** Pairs, as Node's http writes such an object. User and password of the URL come before `auth`. */
function convertHeaders({ headers, origin, auth }: ClientOptions, { username, password }: URL): [string, string][] {
  const pairs: [string, string][] = [];
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (RESERVED.test(name) || value === undefined) continue;
    if (!Array.isArray(value)) pairs.push([name, String(value)]);
    else if (name.toLowerCase() === 'cookie') pairs.push([name, value.join('; ')]);
    else for (const one of value) pairs.push([name, String(one)]);
  }
  const has = (name: string): boolean => pairs.some(([known]) => known.toLowerCase() === name);
  if (origin) {
    for (const [index, [name]] of [...pairs.entries()].reverse()) {
      if (name.toLowerCase() === 'origin') pairs.splice(index, 1);
    }
    pairs.push(['Origin', origin]);
  }
  if (auth && username === '' && password === '' && !has('authorization')) {
    pairs.push(['Authorization', `Basic ${Buffer.from(auth).toString('base64')}`]);
  }
  return pairs;
}

/** An agent of Node pools connections, which has no meaning here, and may hold TLS options. */
function agentOptions(agent: unknown): Record<string, unknown> {
  if (agent === undefined || agent === null || agent === false) return {};
  const prototype: unknown = Object.getPrototypeOf(agent);
  if (prototype !== Agent.prototype && prototype !== SecureAgent.prototype) {
    throw new DOMException(
      'The option agent is not supported, since the native core makes the connection; proxy is for proxies',
      'NotSupportedError',
    );
  }
  const { options } = agent as { options?: Record<string, unknown> };
  refuseUnsupported(options ?? {}, UNSUPPORTED);
  return options ?? {};
}
