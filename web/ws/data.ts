// What `send`, `ping` and `pong` of `ws` take, as bytes.

const { Blob } = globalThis;

const EMPTY = Buffer.alloc(0);

/** The bytes of whatever `Buffer.from` understands; of bytes no copy. Throws TypeError for the rest. */
export function toBytes(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return Buffer.from(data as string);
}

/** The bytes of a control frame, where nothing at all means none. */
export function toControlBytes(data: unknown): Uint8Array {
  const bytes = data === undefined || data === null || data === '' ? EMPTY : toBytes(numberAsText(data));
  if (bytes.length > 125) throw new RangeError('The data size must not be greater than 125 bytes');
  return bytes;
}

/** A number is sent as its digits. */
export function numberAsText(data: unknown): unknown {
  return typeof data === 'number' ? data.toString() : data;
}

export function isBlob(data: unknown): data is Blob {
  return data instanceof Blob;
}
