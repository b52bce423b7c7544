// The channels `webwire:webtransport:…`: what the operator hears of sessions, of servers, and of clients that have none.

import { failureError, Topic, withoutCredentials } from '../diagnostics.js';
import type { NativeRefusals } from './native.js';

const topics = {
  open: new Topic('webwire:webtransport:open'),
  close: new Topic('webwire:webtransport:close'),
  error: new Topic('webwire:webtransport:error'),
  listening: new Topic('webwire:webtransport:server:listening'),
  request: new Topic('webwire:webtransport:server:request'),
  connection: new Topic('webwire:webtransport:server:connection'),
  reject: new Topic('webwire:webtransport:server:reject'),
  serverClose: new Topic('webwire:webtransport:server:close'),
  serverError: new Topic('webwire:webtransport:server:error'),
} as const;

interface CloseInfo {
  readonly closeCode: number;
  readonly reason: string;
}

/** Why there is no session, or no longer. `phase` is what was under way. */
export interface Cause {
  readonly phase: 'dns' | 'connect' | 'tls' | 'settings' | 'request' | 'session' | 'abort';
  readonly code: string;
  readonly text: string;
  /** Of the answer to the request. */
  readonly status?: number;
}

export const CLIENT_GONE: Cause = { phase: 'request', code: 'ERR_REQUEST_GONE', text: 'the client has gone' };
export const ABORTED: Cause = {
  phase: 'abort',
  code: 'ABORT_ERR',
  text: 'the session was closed before it was established',
};

export const blockedPort = (text: string): Cause => ({ phase: 'connect', code: 'ERR_BLOCKED_PORT', text });

/** The network has nothing more to say, and has not said why. */
export const unexplained = (isDefect: boolean): Cause =>
  isDefect
    ? { phase: 'session', code: 'ERR_INTERNAL', text: 'an internal error ended the session' }
    : { phase: 'session', code: 'ERR_CLOSED', text: 'the session has ended' };

/** As the native core says it: see `Cause::to_text` of `src/webtransport/cause.rs`. */
export function parseCause(status: number, fields: string): Cause {
  const [phase, code = '', ...text] = fields.split('\0');
  const cause = { phase: phase as Cause['phase'], code, text: text.join('\0') };
  return status === 0 ? cause : { ...cause, status };
}

/** Who tells the operator of a session: the WebTransport object that shows it. */
export class Observer {
  readonly #webtransport: object;
  readonly #url: string;

  constructor(webtransport: object, url: string) {
    this.#webtransport = webtransport;
    this.#url = url;
  }

  get #shown(): { webtransport: object; url: string } {
    return { webtransport: this.#webtransport, url: URL.canParse(this.#url) ? withoutCredentials(this.#url) : '' };
  }

  opened(protocol: string): void {
    if (!topics.open.wanted) return;
    const shown = this.#shown;
    topics.open.publish({ ...shown, protocol }, shown.url);
  }

  closed(closeInfo: CloseInfo): void {
    if (!topics.close.wanted) return;
    const shown = this.#shown;
    topics.close.publish({ ...shown, ...closeInfo }, shown.url, closeInfo.closeCode, closeInfo.reason);
  }

  failed({ text, ...detail }: Cause): void {
    if (!topics.error.wanted) return;
    const shown = this.#shown;
    const error = failureError(`${detail.code}: ${text}`, detail);
    topics.error.publish({ ...shown, error }, shown.url, detail.phase, error.message);
  }
}

/** A request, for a session or a plain one, as its server has it. */
interface AnyRequest {
  readonly url: string;
}

/** Where a client is. */
interface Remote {
  readonly address: string;
  readonly port: number;
}

/** Why a request came to nothing: the answer's status, 0 without one, a code, and a text for people. */
export type Refusal = readonly [status: number, code: string, text: string];

export const CLOSING: Refusal = [0, 'ERR_SERVER_CLOSED', 'the server closes'];
export const GONE: Refusal = [0, 'ERR_REQUEST_GONE', 'the client has gone, or the time for an answer is up'];
export const HOOK_FAILED: Refusal = [500, 'ERR_REQUEST_HOOK', 'onRequest has thrown'];
export const TOO_MANY_SESSIONS: Refusal = [
  0,
  'ERR_TOO_MANY_SESSIONS',
  'the connection has as many sessions as it may have',
];
/** Of plain requests. */
export const CLOSING_ANSWERED: Refusal = [503, 'ERR_SERVER_CLOSED', 'the server closes'];
export const NO_RESPONSE: Refusal = [500, 'ERR_REQUEST_HOOK', 'onRequest did not return a Response that can be sent'];
export const NOT_SERVED: Refusal = [404, 'ERR_NOT_SERVED', 'onRequest has not answered the request'];
export const NO_URL: Refusal = [400, 'ERR_HANDSHAKE_REQUEST', 'the request is for no URL'];
export const FORBIDDEN: Refusal = [501, 'ERR_HANDSHAKE_REQUEST', 'the request has a method that scripts may not hear'];
export const LATE: Refusal = [503, 'ETIMEDOUT', 'the time for an answer is up'];
export const GIVEN_UP: Refusal = [0, 'ERR_REQUEST_HOOK', 'the answer of onRequest can not be sent'];
export const DEFECT: Refusal = [0, 'ERR_INTERNAL', 'an internal error ended the request'];

/** The application's own word. */
export const rejected = (status: number): Refusal => [status, 'ERR_REJECTED', 'the application rejects the request'];

/** `address` as the server's `address()` has it. */
export function publishListening(server: object, address: { address: string; port: number }): void {
  if (topics.listening.wanted) topics.listening.publish({ server, address }, `${address.address} ${address.port}`);
}

export function publishRequest(server: object, request: AnyRequest): void {
  if (topics.request.wanted) topics.request.publish({ server, request }, request.url);
}

export function publishConnection(server: object, request: AnyRequest | undefined, webtransport: object): void {
  if (topics.connection.wanted) topics.connection.publish({ server, request, webtransport }, request?.url ?? '');
}

/** A request that JavaScript has heard of; `remote` is where its client is. */
export function publishReject(
  server: object,
  request: AnyRequest | undefined,
  [status, code, text]: Refusal,
  { address, port }: Remote,
): void {
  if (!topics.reject.wanted) return;
  const detail = { phase: 'handshake', code, address, port, ...(status === 0 ? {} : { status }) };
  const error = failureError(`${code}: ${text}`, detail);
  topics.reject.publish({ server, request, error }, request?.url ?? '', error.phase, error.message);
}

/** Clients that the native core has not let in; see `WebTransportRefusals` of `src/webtransport/listener.rs`. */
export function publishRefusals(
  server: object,
  native: { takeRefusals(): NativeRefusals; dropRefusals(): void },
): void {
  if (!topics.reject.wanted) {
    native.dropRefusals();
    return;
  }
  const { clients, more } = native.takeRefusals();
  clients.forEach((fields, index) => {
    const [status, phase = '', code = '', address = '', port, ...text] = fields.split('\0');
    const answered = status === '0' ? {} : { status: Number(status) };
    const detail = { phase, code, address, port: Number(port), ...answered };
    const error = failureError(`${code}: ${text.join('\0')}`, detail);
    const isLast = index === clients.length - 1;
    const message = { server, request: undefined, error, ...(isLast && more > 0 ? { more } : {}) };
    topics.reject.publish(message, address, Number(port), phase, error.message);
  });
}

export function publishServerClose(server: object): void {
  if (topics.serverClose.wanted) topics.serverClose.publish({ server });
}

export function publishServerError(server: object, error: Error): void {
  if (topics.serverError.wanted) topics.serverError.publish({ server, error }, error.message);
}
