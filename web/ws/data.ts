// What `send`, `ping`, `pong` and `close` of `ws` take, as bytes or text.

import { isUint8Array } from 'node:util/types';

const { Blob } = globalThis;

const EMPTY = Buffer.alloc(0);
const MAX_REASON_BYTES = 123;

/** The bytes of whatever `Buffer.from` understands; of bytes no copy. Throws TypeError for the rest. */
export function toBytes(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return Buffer.from(data as string);
}

/** The bytes of a control frame, where nothing at all means none. */
export function toControlBytes(data: unknown): Uint8Array {
  const given = numberAsText(data);
  const bytes = given ? toBytes(given) : EMPTY;
  if (bytes.length > 125) throw new RangeError('The data size must not be greater than 125 bytes');
  return bytes;
}

/** The reason of a Close frame. What has no length is none. Throws TypeError and RangeError as `ws` does. */
export function toReason(data: unknown): string {
  if (data === undefined || !(data as { length?: unknown }).length) return '';
  // Throws TypeError for what is neither text nor bytes.
  if (Buffer.byteLength(data as string) > MAX_REASON_BYTES) {
    throw new RangeError(`The message must not be greater than ${MAX_REASON_BYTES} bytes`);
  }
  if (typeof data === 'string') return data;
  if (!isUint8Array(data)) throw new TypeError('Second argument must be a string or a Uint8Array');
  let text = Buffer.from(data).toString();
  // A byte that is no UTF-8 becomes three that are.
  while (Buffer.byteLength(text) > MAX_REASON_BYTES) text = text.slice(0, -1);
  return text;
}

/** What is sent where nothing is given: a message without bytes, which is binary unless it is an empty text. */
export function toMessage(data: unknown): unknown {
  const given = numberAsText(data);
  return given || given === '' ? given : EMPTY;
}

/** Who is to hear that a message is written. Throws TypeError for what can't be called. */
export function toCallback<Callback>(given: Callback | undefined): Callback | undefined {
  if (!given) return undefined;
  if (typeof given !== 'function') throw new TypeError('The callback must be a function');
  return given;
}

/** A number is sent as its digits. */
export function numberAsText(data: unknown): unknown {
  return typeof data === 'number' ? data.toString() : data;
}

export function isBlob(data: unknown): data is Blob {
  return data instanceof Blob;
}
