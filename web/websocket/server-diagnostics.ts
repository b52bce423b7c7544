// The channels `webwire:websocket:server:…`: what the operator of a server hears of it, and of clients that it never has.

import { Topic } from '../diagnostics.js';
import { type Cause, failure } from './diagnostics.js';

const topics = {
  listening: new Topic('webwire:websocket:server:listening'),
  request: new Topic('webwire:websocket:server:request'),
  connection: new Topic('webwire:websocket:server:connection'),
  reject: new Topic('webwire:websocket:server:reject'),
  close: new Topic('webwire:websocket:server:close'),
  error: new Topic('webwire:websocket:server:error'),
} as const;

/** A request, as its server has it. */
interface Request {
  readonly url?: string | undefined;
}

/** A request that is answered so. */
export const refusal = (status: number, code: string, text: string): Cause => ({
  number: status,
  text: ['handshake', code, '', '', '', text].join('\0'),
});

export const CLOSING = refusal(503, 'ERR_SERVER_CLOSED', 'the server closes');
export const HOOK_FAILED = refusal(500, 'ERR_REQUEST_HOOK', 'onRequest has thrown');
export const NOT_SERVED = refusal(404, 'ERR_PATH', 'the server serves another path');
export const TOO_MANY_CONNECTIONS = refusal(503, 'ERR_TOO_MANY_CONNECTIONS', 'as many clients as may be are there');
export const GONE: Cause = { number: 0, text: 'handshake\0EOF\0\0\0\0the client has gone' };
export const NO_DESCRIPTOR: Cause = {
  number: 0,
  text: 'listen\0EMFILE\0dup\0\0\0no descriptor is left for the client',
};

/** The application's own word. */
export const rejected = (status: number): Cause =>
  refusal(status, 'ERR_REJECTED', 'the application rejects the request');

/** What the native core answers to a request that comes from Node's http server. */
export function refusedWith(answer: Uint8Array): Cause {
  const status = Number(Buffer.from(answer.subarray(9, 12)).toString('latin1'));
  return status === 503
    ? refusal(status, 'ERR_TOO_MANY_HANDSHAKES', 'as many clients as may be wait for their answer')
    : refusal(status, 'ERR_HANDSHAKE_REQUEST', 'the request is no valid opening handshake');
}

const place = ({ address, port }: { address: string; port: number }): string => `${address} ${port}`;

/** `address` as the server's `address()` has it. */
export function publishListening(server: object, address: { address: string; port: number }): void {
  if (topics.listening.wanted) topics.listening.publish({ server, address }, place(address));
}

export function publishRequest(server: object, request: Request): void {
  if (topics.request.wanted) topics.request.publish({ server, request }, request.url ?? '');
}

export function publishConnection(server: object, request: Request | undefined, websocket: object): void {
  if (topics.connection.wanted) topics.connection.publish({ server, request, websocket }, request?.url ?? '');
}

/** Without a request: the client has sent none that is valid. */
export function publishReject(server: object, request: Request | undefined, cause: Cause): void {
  if (!topics.reject.wanted) return;
  const error = failure(cause);
  topics.reject.publish({ server, request, error }, request?.url ?? '', error.phase, error.message);
}

export function publishServerClose(server: object): void {
  if (topics.close.wanted) topics.close.publish({ server });
}

export function publishServerError(server: object, cause: Cause): void {
  if (!topics.error.wanted) return;
  const error = failure(cause);
  topics.error.publish({ server, error }, error.phase, error.message);
}
