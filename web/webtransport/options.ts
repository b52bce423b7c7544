// The arguments of `new WebTransport`, checked and converted before anything is dialled.
// https://www.w3.org/TR/webtransport/#dom-webtransport-webtransport

import { isBadPort } from '../bad-port.js';
import { DOMException } from '../errors.js';
import { ipAddress } from '../ip-address.js';
import { location } from '../location.js';
import { convertTlsOptions, trustWhatNodeTrusts } from '../tls.js';
import {
  BufferSource,
  boolean,
  DOMString,
  dictionary,
  enumeration,
  nullable,
  requireArguments,
  sequence,
  USVString,
  unsignedShort,
} from '../webidl.js';
import { flattenHeaders, HeadersInit } from './headers.js';
import { idleTimeoutMember } from './idle-timeout.js';
import type { ConnectOptions } from './native.js';

const CongestionControl = enumeration('WebTransportCongestionControl', ['default', 'throughput', 'low-latency']);

const ReadableStreamType = enumeration('ReadableStreamType', ['bytes']);

const WebTransportHash = dictionary('WebTransportHash', {
  algorithm: { type: DOMString, required: true },
  value: { type: BufferSource, required: true },
});

/** `[EnforceRange] unsigned short?` */
export const anticipatedStreams = nullable(unsignedShort('enforceRange'));

const WebTransportOptions = dictionary('WebTransportOptions', {
  allowPooling: { type: boolean, default: () => false },
  anticipatedConcurrentIncomingBidirectionalStreams: { type: anticipatedStreams, default: () => null },
  anticipatedConcurrentIncomingUnidirectionalStreams: { type: anticipatedStreams, default: () => null },
  congestionControl: { type: CongestionControl, default: () => 'default' as const },
  datagramsReadableType: { type: ReadableStreamType },
  headers: { type: HeadersInit, default: () => ({}) },
  ...idleTimeoutMember,
  localAddress: { type: nullable(ipAddress) },
  protocols: { type: sequence(DOMString), default: () => [] },
  requireUnreliable: { type: boolean, default: () => false },
  serverCertificateHashes: { type: sequence(WebTransportHash), default: () => [] },
});

/** What a session is to be like: the slots that the constructor's options set. */
export interface Preferences {
  allowPooling: boolean;
  anticipatedBidirectional: number | null;
  anticipatedUnidirectional: number | null;
  congestionControl: 'default' | 'throughput' | 'low-latency';
  datagramsReadableType: 'bytes' | undefined;
}

/** Those of a session that a server has accepted. */
export const NO_PREFERENCES: Preferences = {
  allowPooling: false,
  anticipatedBidirectional: null,
  anticipatedUnidirectional: null,
  congestionControl: 'default',
  datagramsReadableType: undefined,
};

export interface Converted {
  connect: ConnectOptions;
  preferences: Preferences;
}

const DEFAULT_PORT = 443;
const MAX_PROTOCOL_BYTES = 512;

/** The constructor's steps up to the request. A connection to a port that is blocked fails later, as a fetch does. */
export function convertArguments(given: readonly unknown[]): Converted {
  const context = "Failed to construct 'WebTransport'";
  requireArguments(given, 1, context);
  const [url, options = {}] = given;
  const text = USVString(url, `${context}: url`);
  const converted = WebTransportOptions(options, `${context}: options`);
  const tls = convertTlsOptions((options ?? {}) as object);
  // 1. to 5.
  const target = parseUrl(text);
  // 6. to 8.
  const { allowPooling, protocols, serverCertificateHashes: hashes } = converted;
  if (allowPooling && hashes.length > 0) {
    throw new DOMException('allowPooling and serverCertificateHashes exclude each other', 'NotSupportedError');
  }
  // 9. Everything goes over HTTP/3, so that `requireUnreliable` is always met.
  // 13.
  checkProtocols(protocols);
  // 28. to 31.
  const headers = requestHeaders(converted.headers, context);
  if (!headers.some((text, index) => index % 2 === 0 && text === 'origin')) {
    // 25. Differs from the spec: where there is no page the URL's own origin stands for it.
    headers.push('origin', location().origin ?? target.origin);
  }
  if (hashes.length === 0) trustWhatNodeTrusts();
  const preferences = {
    allowPooling,
    anticipatedBidirectional: converted.anticipatedConcurrentIncomingBidirectionalStreams,
    anticipatedUnidirectional: converted.anticipatedConcurrentIncomingUnidirectionalStreams,
    // 11. What there is, Cubic, is for throughput.
    congestionControl: converted.congestionControl === 'throughput' ? ('throughput' as const) : ('default' as const),
    datagramsReadableType: converted.datagramsReadableType,
  };
  return {
    connect: {
      ...address(target),
      protocols,
      headers,
      // A list of hashes of unknown algorithms is still a list: nothing matches it.
      serverCertificateHashes:
        hashes.length === 0
          ? undefined
          : hashes.filter(({ algorithm }) => algorithm.toLowerCase() === 'sha-256').map(({ value }) => value.slice()),
      idleTimeoutMs: converted.idleTimeoutMs,
      localAddress: converted.localAddress ?? undefined,
      allowPooling: converted.allowPooling,
      tls,
      anticipatedBidirectional: preferences.anticipatedBidirectional ?? 0,
      anticipatedUnidirectional: preferences.anticipatedUnidirectional ?? 0,
    },
    preferences,
  };
}

/** Why a session can't be asked for at this port; nothing when it can. */
export function blocked({ port }: ConnectOptions): string | undefined {
  return isBadPort(port) ? `port ${port} is blocked` : undefined;
}

function parseUrl(text: string): URL {
  const syntaxError = (message: string) => new DOMException(message, 'SyntaxError');
  // Differs from the spec: no base, as in browsers and their tests.
  if (!URL.canParse(text)) throw syntaxError(`'${text}' is not a valid URL`);
  const url = new URL(text);
  if (url.protocol !== 'https:') throw syntaxError(`the scheme of '${text}' is not https`);
  // An empty fragment is one too.
  if (url.href.includes('#')) throw syntaxError(`'${text}' has a fragment`);
  return url;
}

function address(url: URL): Pick<ConnectOptions, 'host' | 'port' | 'authority' | 'path'> {
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    authority: url.host,
    path: url.pathname + url.search,
  };
}

function checkProtocols(protocols: readonly string[]): void {
  const seen = new Set<string>();
  for (const protocol of protocols) {
    // A structured field's string: printable ASCII.
    if (!/^[\x20-\x7e]+$/.test(protocol) || protocol.length > MAX_PROTOCOL_BYTES) {
      throw new DOMException(`'${protocol}' cannot be a protocol`, 'SyntaxError');
    }
    if (seen.has(protocol)) throw new DOMException(`the protocol '${protocol}' is there twice`, 'SyntaxError');
    seen.add(protocol);
  }
}

/**
 * Forbidden request-headers that belong to the connection or to the protocol: as the standard says they are not sent.
 * Differs from the spec: those that only a browser keeps for itself (Cookie, Origin, Referer and so on) are.
 * https://fetch.spec.whatwg.org/#forbidden-request-header
 */
const NOT_SENT =
  /^(?:connection|content-length|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade|via|proxy-.*|sec-.*)$/;

/** The names and values of `headers` that are sent, one after the other. */
function requestHeaders(init: HeadersInit, context: string): string[] {
  const all = flattenHeaders(init);
  const sent: string[] = [];
  for (let index = 0; index < all.length; index += 2) {
    const [name = '', value = ''] = all.slice(index, index + 2);
    if (name === 'wt-available-protocols') throw new TypeError(`${context}: ${name} is made of the option protocols`);
    if (!NOT_SENT.test(name)) sent.push(name, value);
  }
  return sent;
}
