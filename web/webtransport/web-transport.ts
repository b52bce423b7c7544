// https://www.w3.org/TR/webtransport/#webtransport

import { isBadPort } from '../bad-port.js';
import { DOMException } from '../errors.js';
import { defineNodeMembers } from '../node-members.js';
import { convertTlsOptions, trustWhatNodeTrusts } from '../tls.js';
import {
  any,
  BufferSource,
  boolean,
  DOMString,
  defineInterface,
  dictionary,
  enumeration,
  requireArguments,
  sequence,
  USVString,
  unsignedLong,
} from '../webidl.js';
import type { WebTransportBidirectionalStream } from './bidirectional-stream.js';
import { WebTransportDatagramDuplexStream } from './datagrams.js';
import { idleTimeoutMember } from './idle-timeout.js';
import type { ConnectOptions } from './native.js';
import type { WebTransportReceiveStream } from './receive-stream.js';
import type { WebTransportSendStream } from './send-stream.js';
import { type CloseInfo, flattenHeaders, Session } from './session.js';

const CongestionControl = enumeration('WebTransportCongestionControl', ['default', 'throughput', 'low-latency']);

const WebTransportHash = dictionary('WebTransportHash', {
  algorithm: { type: DOMString, required: true },
  value: { type: BufferSource, required: true },
});

const WebTransportOptions = dictionary('WebTransportOptions', {
  allowPooling: { type: boolean, default: () => false },
  congestionControl: { type: CongestionControl, default: () => 'default' as const },
  headers: { type: any, default: () => ({}) },
  ...idleTimeoutMember,
  protocols: { type: sequence(DOMString), default: () => [] },
  requireUnreliable: { type: boolean, default: () => false },
  serverCertificateHashes: { type: sequence(WebTransportHash), default: () => [] },
});

const WebTransportCloseInfo = dictionary('WebTransportCloseInfo', {
  closeCode: { type: unsignedLong(), default: () => 0 },
  reason: { type: USVString, default: () => '' },
});

const WebTransportSendStreamOptions = dictionary('WebTransportSendStreamOptions', {
  waitUntilAvailable: { type: boolean, default: () => false },
});

const DEFAULT_PORT = 443;
const MAX_PROTOCOL_BYTES = 512;

/** Headers that belong to the connection or to the protocol itself. */
const FORBIDDEN_HEADERS = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'wt-available-protocols',
  'wt-protocol',
]);

/** Shows an accepted session as a WebTransport. */
let adopt: (session: Session) => WebTransport;

/** The session that the next `new WebTransport` shows instead of connecting; for `adopt` only. */
let adopted: Session | undefined;

export class WebTransport {
  readonly #session: Session;
  readonly #datagrams: WebTransportDatagramDuplexStream;

  constructor(...given: unknown[]) {
    this.#session = adopted ?? connect(given);
    this.#datagrams = new WebTransportDatagramDuplexStream(this.#session.datagrams);
  }

  static {
    adopt = (session) => {
      adopted = session;
      try {
        return new WebTransport();
      } finally {
        adopted = undefined;
      }
    };
  }

  get ready(): Promise<undefined> {
    return #session in this ? this.#session.ready : illegalInvocation();
  }

  get reliability(): 'pending' | 'reliable-only' | 'supports-unreliable' {
    return this.#session.state === 'connecting' ? 'pending' : 'supports-unreliable';
  }

  get congestionControl(): 'default' | 'throughput' | 'low-latency' {
    return this.#session.congestionControl;
  }

  get responseHeaders(): Headers | null {
    return this.#session.responseHeaders;
  }

  get protocol(): string {
    return this.#session.protocol;
  }

  get closed(): Promise<CloseInfo> {
    return #session in this ? this.#session.closed : illegalInvocation();
  }

  get draining(): Promise<undefined> {
    return #session in this ? this.#session.draining : illegalInvocation();
  }

  close(closeInfo: unknown = {}): void {
    const { closeCode, reason } = WebTransportCloseInfo(closeInfo, "Failed to execute 'close': closeInfo");
    this.#session.close(closeCode, reason);
  }

  get datagrams(): WebTransportDatagramDuplexStream {
    return this.#datagrams;
  }

  async createBidirectionalStream(options: unknown = {}): Promise<WebTransportBidirectionalStream> {
    const { waitUntilAvailable } = WebTransportSendStreamOptions(options, "'createBidirectionalStream': options");
    return this.#session.createBidirectionalStream(waitUntilAvailable);
  }

  get incomingBidirectionalStreams(): ReadableStream<WebTransportBidirectionalStream> {
    return this.#session.incomingBidirectionalStreams;
  }

  async createUnidirectionalStream(options: unknown = {}): Promise<WebTransportSendStream> {
    const { waitUntilAvailable } = WebTransportSendStreamOptions(options, "'createUnidirectionalStream': options");
    return this.#session.createUnidirectionalStream(waitUntilAvailable);
  }

  get incomingUnidirectionalStreams(): ReadableStream<WebTransportReceiveStream> {
    return this.#session.incomingUnidirectionalStreams;
  }

  static get supportsReliableOnly(): boolean {
    return false;
  }

  ref(): void {
    this.#session.ref();
  }

  unref(): void {
    this.#session.unref();
  }
}

export { adopt };

defineInterface(WebTransport, {
  constructorLength: 1,
  lengths: { close: 0, createBidirectionalStream: 0, createUnidirectionalStream: 0 },
});
defineNodeMembers(WebTransport, {
  shown: ({ reliability, congestionControl, protocol }) => ({ reliability, congestionControl, protocol }),
  // How it ended is for those who ask.
  ended: (transport) => transport.closed.catch(() => {}),
});

/** A promise-typed attribute of another object rejects. https://webidl.spec.whatwg.org/#dfn-attribute-getter */
function illegalInvocation(): Promise<never> {
  return Promise.reject(new TypeError('Illegal invocation: not a WebTransport'));
}

/** The constructor's steps: https://www.w3.org/TR/webtransport/#dom-webtransport-webtransport */
function connect(given: readonly unknown[]): Session {
  const context = "Failed to construct 'WebTransport'";
  requireArguments(given, 1, context);
  const [url, options = {}] = given;
  const text = USVString(url, `${context}: url`);
  const converted = WebTransportOptions(options, `${context}: options`);
  const tls = convertTlsOptions((options ?? {}) as object);
  const target = parseUrl(text);
  const { protocols, serverCertificateHashes: hashes } = converted;
  if (converted.allowPooling && hashes.length > 0) {
    throw new DOMException('allowPooling and serverCertificateHashes exclude each other', 'NotSupportedError');
  }
  checkProtocols(protocols);
  const headers = flattenHeaders(converted.headers);
  for (let index = 0; index < headers.length; index += 2) {
    if (FORBIDDEN_HEADERS.has(headers[index] ?? ''))
      throw new TypeError(`${context}: forbidden header ${headers[index]}`);
  }
  if (!headers.some((text, index) => index % 2 === 0 && text === 'origin')) headers.push('origin', target.origin);
  const at = address(target);
  if (isBadPort(at.port)) return Session.blocked(`port ${at.port} is blocked`);
  if (hashes.length === 0) trustWhatNodeTrusts();
  return Session.connect({
    ...at,
    protocols,
    headers,
    // A list of hashes of unknown algorithms is still a list: nothing matches it.
    serverCertificateHashes:
      hashes.length === 0
        ? undefined
        : hashes.filter(({ algorithm }) => algorithm.toLowerCase() === 'sha-256').map(({ value }) => value.slice()),
    idleTimeoutMs: converted.idleTimeoutMs,
    tls,
  });
}

function parseUrl(text: string): URL {
  const syntaxError = (message: string) => new DOMException(message, 'SyntaxError');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw syntaxError(`'${text}' is not a valid URL`);
  }
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
