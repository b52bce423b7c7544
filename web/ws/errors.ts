// Why a connection failed, as an Error of the kind that `ws` emits.

import { type Cause, failure } from '../websocket/diagnostics.js';

/** Codes of the Close frame that says what was wrong with the peer's frames, and the names that `ws` has for them. */
const FRAME_CODES: Readonly<Record<number, string>> = {
  1002: 'WS_ERR_PROTOCOL',
  1007: 'WS_ERR_INVALID_UTF8',
  1008: 'WS_ERR_TOO_MANY_BUFFERED_PARTS',
  1009: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
};

/** A fault in the peer's frames; undefined if the connection only broke, which is no error for `ws`. */
export function frameError(cause: Cause): Error | undefined {
  const error = failure(cause);
  if (error.phase !== 'frame') return undefined;
  const Class = cause.number === 1009 ? RangeError : Error;
  const what = cause.number === 1009 ? 'Max payload size exceeded' : `Invalid WebSocket frame: ${textOf(cause)}`;
  return Object.assign(new Class(what), { code: FRAME_CODES[cause.number] ?? 'WS_ERR_PROTOCOL' });
}

/** A failed opening: an error of the system as Node has it, or the handshake's. */
export function handshakeError(cause: Cause | undefined): Error {
  if (cause === undefined) return new Error('The opening handshake failed');
  const error = failure(cause);
  if (error.phase === 'handshake' && error.code === 'ETIMEDOUT') error.message = 'Opening handshake has timed out';
  if (error.phase === 'handshake' && cause.number !== 0) {
    error.message = `Unexpected server response: ${cause.number}`;
  }
  return error;
}

/** The last field. */
function textOf(cause: Cause): string {
  return cause.text.split('\0').slice(5).join('\0');
}
