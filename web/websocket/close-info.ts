// What a script may say when it closes. https://whatpr.org/websockets/48.html#common-algorithms

import { DOMException } from '../errors.js';
import { dictionary, USVString, unsignedShort } from '../webidl.js';

const NORMAL = 1000;
const MAX_REASON_BYTES = 123;

/** https://whatpr.org/websockets/48.html#dictdef-websocketcloseinfo */
export const closeInfo = dictionary('WebSocketCloseInfo', {
  closeCode: { type: unsignedShort('enforceRange') },
  reason: { type: USVString, default: () => '' },
});

/** https://whatpr.org/websockets/48.html#validate-close-code-and-reason */
export function validateCloseCodeAndReason(code: number | undefined, reason: string): void {
  // 1.
  if (code !== undefined && code !== NORMAL && (code < 3000 || code > 4999)) {
    throw new DOMException(`${code} is neither ${NORMAL} nor from 3000 to 4999`, 'InvalidAccessError');
  }
  // 2.
  if (Buffer.byteLength(reason, 'utf8') > MAX_REASON_BYTES) {
    throw new DOMException(`The reason has more than ${MAX_REASON_BYTES} bytes`, 'SyntaxError');
  }
}

/** The code of a Close frame: a reason can't go without one. */
export function codeOrNormal(code: number | undefined, reason: string): number | undefined {
  return code ?? (reason === '' ? undefined : NORMAL);
}
