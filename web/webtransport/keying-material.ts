// `exportKeyingMaterial()` of a session: a secret that both ends can derive, and nobody else.
// https://www.w3.org/TR/webtransport/#dom-webtransport-exportkeyingmaterial

import { DOMException } from '../errors.js';
import { BufferSource, requireArguments, unsignedLong } from '../webidl.js';
import type { Session } from './session.js';

const MAX_PARAMETER_BYTES = 255;
/** What HKDF gives at most with SHA-256: 255 times its length. */
const MAX_OUTPUT_BYTES = 8160;

/** The steps of `exportKeyingMaterial()`. */
export async function exportKeyingMaterial(
  session: Session,
  given: readonly unknown[],
): Promise<Uint8Array<ArrayBuffer>> {
  const context = "Failed to execute 'exportKeyingMaterial'";
  requireArguments(given, 3, context);
  const label = BufferSource(given[0], `${context}: label`).slice();
  const ofUse = BufferSource(given[1], `${context}: context`).slice();
  const length = unsignedLong()(given[2], `${context}: outputLength`);
  // 1. to 5.
  if (label.byteLength > MAX_PARAMETER_BYTES) throw new RangeError(`${context}: label is longer than 255 bytes`);
  if (ofUse.byteLength > MAX_PARAMETER_BYTES) throw new RangeError(`${context}: context is longer than 255 bytes`);
  if (length === 0 || length > MAX_OUTPUT_BYTES) {
    throw new RangeError(`${context}: outputLength is not from 1 to ${MAX_OUTPUT_BYTES}`);
  }
  // 6.
  if (session.isOver) throw ended();
  // 9.
  await session.ready.catch(() => {});
  const material = new Uint8Array(length);
  if (!session.isOpen || !session.native.exportKeyingMaterial(label, ofUse, material)) throw ended();
  return material;
}

function ended(): DOMException {
  return new DOMException('the session has ended', 'InvalidStateError');
}
