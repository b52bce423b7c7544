// A client's request for a session, which waits at a WebTransportServer for its answer.
// https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-3.2

import { DOMException } from '../errors.js';
import { Event } from '../event-target.js';
import { CLIENT_TLS_FIELDS, type ClientTls, parseClientTls } from '../server-tls.js';
import {
  DOMString,
  defineInterface,
  dictionary,
  illegalConstructor,
  requireArguments,
  unsignedShort,
} from '../webidl.js';
import { flattenHeaders, HeadersInit, parseHeaders } from './headers.js';
import type { WebTransport } from './web-transport.js';

const AcceptOptions = dictionary('WebTransportAcceptOptions', {
  headers: { type: HeadersInit },
  protocol: { type: DOMString },
});

const RejectOptions = dictionary('WebTransportRejectOptions', {
  body: { type: DOMString, default: () => '' },
  headers: { type: HeadersInit },
});

export interface ServerAddress {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

export function serverAddress(address: string, port: number): ServerAddress {
  return { address, family: address.includes(':') ? 'IPv6' : 'IPv4', port };
}

/** What a request does with its answer; friend of WebTransportServer. */
export interface Answering {
  accept(key: number, request: WebTransportRequest, protocol: string | undefined, headers: string[]): WebTransport;
  reject(key: number, status: number, headers: string[], body: string): void;
}

/** A request as it came. */
class Arrival {
  readonly answering: Answering;
  readonly key: number;
  readonly lines: readonly string[];

  constructor(answering: Answering, key: number, text: string) {
    this.answering = answering;
    this.key = key;
    this.lines = text.split('\n');
  }
}

/** Whether it has been accepted or rejected, or can't be any more. */
export let isAnswered: (request: WebTransportRequest) => boolean;
/** The request can't be answered any more: its client has gone, or has waited too long. */
export let endRequest: (request: WebTransportRequest) => void;

export class WebTransportRequest {
  readonly #arrival: Arrival;
  #gone: AbortController | undefined;
  #answered = false;
  readonly #url: string;
  #headers: Headers | undefined;
  readonly #headerLines: readonly string[];
  readonly #protocols: readonly string[];
  readonly #remoteAddress: ServerAddress;
  readonly #tls: ClientTls;

  constructor(arrival?: unknown) {
    if (!(arrival instanceof Arrival)) throw illegalConstructor();
    this.#arrival = arrival;
    const [authority, path, address = '', port, ...behind] = arrival.lines;
    this.#url = `https://${authority}${path}`;
    this.#remoteAddress = serverAddress(address, Number(port));
    this.#tls = parseClientTls(behind.splice(0, CLIENT_TLS_FIELDS));
    const [count, ...rest] = behind;
    this.#protocols = Object.freeze(rest.slice(0, Number(count)));
    this.#headerLines = rest.slice(Number(count));
  }

  static {
    isAnswered = (request) => request.#answered || request.#gone?.signal.aborted === true;
    endRequest = (request) => {
      request.#controller.abort(new DOMException('the client has gone, or waited too long', 'AbortError'));
    };
  }

  get url(): string {
    return this.#url;
  }

  get headers(): Headers {
    this.#headers ??= parseHeaders(this.#headerLines);
    return this.#headers;
  }

  /** The `origin` header; empty when there is none. */
  get origin(): string {
    return this.headers.get('origin') ?? '';
  }

  get protocols(): readonly string[] {
    return this.#protocols;
  }

  get remoteAddress(): ServerAddress {
    return this.#remoteAddress;
  }

  get tls(): ClientTls {
    return this.#tls;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get #controller(): AbortController {
    this.#gone ??= new AbortController();
    return this.#gone;
  }

  /**
   * Answers 200. `protocol` is one of `protocols`. If the client has gone meanwhile, which nobody can exclude, that is no
   * error of the caller: the session then fails, and its `ready` and `closed` reject.
   */
  async accept(options: unknown = {}): Promise<WebTransport> {
    const { headers, protocol } = AcceptOptions(options, "Failed to execute 'accept': options");
    if (protocol !== undefined && protocol !== '' && !this.#protocols.includes(protocol)) {
      throw new TypeError(`the client does not offer the protocol '${protocol}'`);
    }
    const flat = flattenHeaders(headers);
    if (flat.some((text, index) => index % 2 === 0 && text === 'wt-protocol')) {
      throw new TypeError('wt-protocol is made of the option protocol');
    }
    this.#answer();
    const { answering, key } = this.#arrival;
    return answering.accept(key, this, protocol === '' ? undefined : protocol, flat);
  }

  reject(...given: unknown[]): void {
    requireArguments(given, 1, "Failed to execute 'reject'");
    const [status, options = {}] = given;
    const code = unsignedShort('enforceRange')(status, "Failed to execute 'reject': status");
    if (code < 300 || code > 599) throw new RangeError(`${code} is not a status that rejects`);
    const { body, headers } = RejectOptions(options, "Failed to execute 'reject': options");
    const flat = flattenHeaders(headers);
    this.#answer();
    this.#arrival.answering.reject(this.#arrival.key, code, flat, body);
  }

  #answer(): void {
    if (this.#answered) throw new DOMException('the request has been answered', 'InvalidStateError');
    this.#answered = true;
  }
}

defineInterface(WebTransportRequest, { constructorLength: 0, lengths: { accept: 0, reject: 1 } });

/** Makes the request that the native core knows as `key`; `text` is that of its event `Request`. */
export function createRequest(answering: Answering, key: number, text: string): WebTransportRequest {
  return new WebTransportRequest(new Arrival(answering, key, text));
}

/** `connection`: a session that was accepted for whoever listens. */
export class WebTransportConnectionEvent extends Event {
  readonly #socket: WebTransport;
  readonly #request: WebTransportRequest;

  constructor(socket: WebTransport, request: WebTransportRequest) {
    super('connection');
    this.#socket = socket;
    this.#request = request;
  }

  get socket(): WebTransport {
    return this.#socket;
  }

  get request(): WebTransportRequest {
    return this.#request;
  }
}
