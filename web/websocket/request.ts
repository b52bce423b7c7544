// An opening handshake that waits at a WebSocketServer for its answer. https://www.rfc-editor.org/rfc/rfc6455#section-4.2

import { DOMException } from '../errors.js';
import { defineInspection } from '../node-members.js';
import { CLIENT_TLS_FIELDS, type ClientTls, parseClientTls } from '../server-tls.js';
import { DOMString, dictionary, illegalConstructor, unsignedShort } from '../webidl.js';
import { flatHeaders } from './options.js';
import type { WebSocket } from './websocket.js';

const { AbortController } = globalThis;

/** How a request is answered: its server's part. */
export interface Answering {
  accept(number: number, url: string, protocol: string | undefined, headers: string[]): Promise<WebSocket>;
  reject(number: number, status: number, headers: string[], body: Uint8Array): void;
}

const noHeaders = (): string[] => [];

const acceptOptions = dictionary('WebSocketAcceptOptions', {
  headers: { type: flatHeaders, default: noHeaders },
  protocol: { type: DOMString },
});

const rejectOptions = dictionary('WebSocketRejectOptions', {
  body: { type: DOMString, default: () => '' },
  headers: { type: flatHeaders, default: noHeaders },
});

const status = unsignedShort('enforceRange');

const NOT_MODIFIED = 304;

/** A target that is a URL itself and has its own host: what is behind the scheme, and behind the host. RFC 9112, section 3.2.2. */
const URL_ITSELF = /^[a-z][a-z\d+.-]*(:\/\/[^/?]*(.*))$/i;

/** The path that a request's target names. */
export function pathOf(target: string): string {
  const [path = ''] = (URL_ITSELF.exec(target)?.[2] ?? target).split('?', 1);
  return path === '' ? '/' : path;
}

/** What a request says of itself. */
export interface RequestHead {
  readonly target: string;
  readonly remoteAddress: { address: string; family: 'IPv4' | 'IPv6'; port: number } | undefined;
  readonly protocols: string[];
  /** Names and values of the headers in turn. */
  readonly lines: string[];
  /** Of a client under TLS. */
  readonly tls: ClientTls | undefined;
}

/** The native core's text; see `WebSocketListenerEvent::Request`. */
export function parseHead(text: string, secure: boolean): RequestHead {
  const [target = '', address = '', family = '', port = '', ...behind] = text.split('\0');
  const tls = secure ? parseClientTls(behind.splice(0, CLIENT_TLS_FIELDS)) : undefined;
  const [count = '0', ...rest] = behind;
  return {
    target,
    remoteAddress:
      address === '' ? undefined : { address, family: family === '4' ? 'IPv4' : 'IPv6', port: Number(port) },
    protocols: rest.slice(0, Number(count)),
    lines: rest.slice(Number(count)),
    tls,
  };
}

/** Makes a request. */
export let createRequest: (answering: Answering, number: number, head: RequestHead) => WebSocketRequest;
/** Whether it has been accepted or rejected, or can't be any more. */
export let isAnswered: (request: WebSocketRequest) => boolean;
/** The request can't be answered any more: its client has gone. */
export let endRequest: (request: WebSocketRequest) => void;

const NO_HEAD: RequestHead = { target: '', remoteAddress: undefined, protocols: [], lines: [], tls: undefined };

export class WebSocketRequest {
  static #making = false;

  static {
    createRequest = (answering, number, head) => {
      WebSocketRequest.#making = true;
      const request = new WebSocketRequest();
      request.#answering = answering;
      request.#number = number;
      request.#head = head;
      Object.freeze(head.protocols);
      return request;
    };
    isAnswered = (request) => request.#answering === undefined || request.#abortController?.signal.aborted === true;
    endRequest = (request) => {
      request.#controller.abort(new DOMException('The client has gone', 'AbortError'));
    };
  }

  /** Until it is answered. */
  #answering: Answering | undefined;
  #number = 0;
  #head: RequestHead = NO_HEAD;
  #headers: Headers | undefined;
  #abortController: AbortController | undefined;

  constructor() {
    if (!WebSocketRequest.#making) throw illegalConstructor();
    WebSocketRequest.#making = false;
  }

  /** The request's target: path and query. */
  get url(): string {
    return this.#head.target;
  }

  get headers(): Headers {
    if (this.#headers === undefined) {
      this.#headers = new Headers();
      for (let i = 0; i + 1 < this.#head.lines.length; i += 2) {
        this.#headers.append(this.#head.lines[i] as string, this.#head.lines[i + 1] as string);
      }
    }
    return this.#headers;
  }

  /** The Origin header, or an empty string. */
  get origin(): string {
    return this.#line('origin');
  }

  /** The subprotocols that the client offers. */
  get protocols(): readonly string[] {
    return this.#head.protocols;
  }

  get remoteAddress(): { address: string; family: 'IPv4' | 'IPv6'; port: number } | undefined {
    return this.#head.remoteAddress;
  }

  /** Of a client under TLS: the name that it asked for, the version, and its certificate if it was asked for one. */
  get tls(): ClientTls | undefined {
    return this.#head.tls;
  }

  /** Aborts when the client goes away, or the time for an answer is up. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Answers 101. `protocol` is one of `protocols`. If the client has gone meanwhile, which nobody can exclude, that is no
   * error of the caller: the socket then fails.
   */
  async accept(options: unknown = undefined): Promise<WebSocket> {
    const { protocol, headers } = acceptOptions(options, 'options');
    if (protocol !== undefined && !this.#head.protocols.includes(protocol)) {
      throw new TypeError(`The client does not offer the subprotocol '${protocol}'`);
    }
    return await this.#answer().accept(this.#number, this.#requested(), protocol, headers);
  }

  /** Answers with another status and ends the connection. */
  reject(code: number, options: unknown = undefined): void {
    const converted = status(code, 'status');
    if (converted < 300 || converted > 599) throw new RangeError(`${converted} is not a status from 300 to 599`);
    const { body, headers } = rejectOptions(options, 'options');
    if (converted === NOT_MODIFIED && body !== '') throw new TypeError(`An answer of status ${converted} has no body`);
    this.#answer().reject(this.#number, converted, headers, Buffer.from(body, 'utf8'));
  }

  get #controller(): AbortController {
    this.#abortController ??= new AbortController();
    return this.#abortController;
  }

  #line(name: string): string {
    const index = this.#head.lines.findIndex((text, at) => at % 2 === 0 && text.toLowerCase() === name);
    return index === -1 ? '' : (this.#head.lines[index + 1] ?? '');
  }

  /** The URL that the client wants. */
  #requested(): string {
    const { target, tls } = this.#head;
    const scheme = tls === undefined ? 'ws' : 'wss';
    if (target.startsWith('/')) return `${scheme}://${this.#line('host')}${target}`;
    const behind = URL_ITSELF.exec(target)?.[1];
    return behind === undefined ? '' : `${scheme}${behind}`;
  }

  /** Whoever answers first. */
  #answer(): Answering {
    const answering = this.#answering;
    if (answering === undefined) throw new DOMException('The request is answered already', 'InvalidStateError');
    this.#answering = undefined;
    return answering;
  }
}

// Without the headers: they may have what must not stand in a log.
defineInspection(WebSocketRequest, (request) => {
  const { url, origin, protocols, remoteAddress, tls } = request;
  return {
    url,
    origin,
    protocols,
    ...(remoteAddress === undefined ? {} : { remoteAddress }),
    ...(tls === undefined ? {} : { tls: { ...tls, peerCertificate: tls.peerCertificate?.subject } }),
    answered: isAnswered(request),
  };
});
