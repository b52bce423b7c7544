// The channels `webwire:websocket:open`, `…:close` and `…:error`: what a WebSocket's script may not learn of a failure.
// https://websockets.spec.whatwg.org/#feedback-from-the-protocol

import { type FailureDetail, failureError, Topic, withoutCredentials } from '../diagnostics.js';

const openTopic = new Topic('webwire:websocket:open');
const closeTopic = new Topic('webwire:websocket:close');
const errorTopic = new Topic('webwire:websocket:error');

/** A WebSocket, of ours or of `ws`'s interface, or a WebSocketStream, as `websocket` in its channels' messages. */
interface Subject {
  readonly url: string | undefined;
}

/** Why a connection failed, as the native core says it. See `WebSocketEvent::Failed`. */
export interface Cause {
  /** HTTP status, or the code of our Close frame, or 0. */
  readonly number: number;
  /** Phase, code, system call, address, port and text, NULs between. */
  readonly text: string;
}

/** Failures that never reach the native core. */
export const BLOCKED_PORT: Cause = { number: 0, text: 'connect\0ERR_BLOCKED_PORT\0\0\0\0Fetch blocks this port' };
export const ABORTED: Cause = { number: 0, text: 'abort\0ABORT_ERR\0\0\0\0the signal was aborted before' };
const UNKNOWN: Cause = { number: 0, text: 'transport\0ERR_INTERNAL\0\0\0\0the connection ended without a word' };

/** Of a socket without one, a server's in `ws`'s interface, the request's. */
function urlOf({ url }: Subject, request: string | undefined): string {
  const known = url ?? request ?? '';
  return URL.canParse(known) ? withoutCredentials(known) : '';
}

export function publishOpen(websocket: Subject, protocol: string, extensions: string, request?: string): void {
  if (!openTopic.wanted) return;
  const url = urlOf(websocket, request);
  openTopic.publish({ websocket, url, protocol, extensions }, url);
}

export function publishClose(
  websocket: Subject,
  code: number,
  reason: string,
  wasClean: boolean,
  request?: string,
): void {
  if (!closeTopic.wanted) return;
  const url = urlOf(websocket, request);
  closeTopic.publish({ websocket, url, code, reason, wasClean }, url, code, reason);
}

export function publishError(websocket: Subject, cause: Cause = UNKNOWN, request?: string): void {
  if (!errorTopic.wanted) return;
  const url = urlOf(websocket, request);
  const error = failure(cause);
  errorTopic.publish({ websocket, url, error }, url, error.phase, error.message);
}

export function failure({ number, text }: Cause): Error & FailureDetail {
  const [phase = '', code = '', syscall = '', address = '', port = '', ...message] = text.split('\0');
  const detail: FailureDetail & { status?: number; closeCode?: number } = { phase, code };
  if (syscall !== '') detail.syscall = syscall;
  if (address !== '') detail.address = address;
  if (port !== '') detail.port = Number(port);
  if (number !== 0) detail[phase === 'frame' ? 'closeCode' : 'status'] = number;
  const where = address === '' ? '' : ` ${address.includes(':') ? `[${address}]` : address}:${port}`;
  return failureError(`${syscall === '' ? '' : `${syscall} `}${code}${where}: ${message.join('\0')}`, detail);
}
