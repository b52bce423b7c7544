// What a data channel has been given to send: small messages of one task go down in one call, Blobs keep their place.

import type { NativeDataTransport } from './native.js';

/** Larger messages go down at once, in a call of their own. */
const BATCHED_BYTES = 4096;
const POOL_BYTES = 64 * 1024;
const POOL_MESSAGES = 1024;
/** Marks a frame as text, in `sendBatch`. */
const TEXT = 0x80000000;

export class SendQueue {
  readonly #transport: NativeDataTransport;
  #pool: Buffer | undefined;
  #frames: Uint32Array | undefined;
  #length = 0;
  #count = 0;
  #scheduled = false;
  #closeAtEnd = false;
  /** Messages behind a Blob that is still being read; the first is that Blob. */
  readonly #waiting: (Blob | string | Uint8Array)[] = [];
  readonly #blobFailed: () => void;

  constructor(transport: NativeDataTransport, blobFailed: () => void) {
    this.#transport = transport;
    this.#blobFailed = blobFailed;
  }

  /** Sends text of `byteLength` bytes of UTF-8. */
  text(text: string, byteLength: number): void {
    if (this.#waiting.length > 0) {
      this.#waiting.push(text);
    } else if (byteLength > BATCHED_BYTES) {
      this.flush();
      this.#transport.sendText(text);
    } else {
      const pool = this.#room(byteLength);
      pool.write(text, this.#length, 'utf8');
      this.#add(byteLength, TEXT);
    }
  }

  /** Sends bytes; they are copied before this returns. */
  binary(bytes: Uint8Array): void {
    if (this.#waiting.length > 0) {
      this.#waiting.push(bytes.slice());
    } else if (bytes.length > BATCHED_BYTES) {
      this.flush();
      this.#transport.sendBinary(bytes);
    } else {
      const pool = this.#room(bytes.length);
      pool.set(bytes, this.#length);
      this.#add(bytes.length, 0);
    }
  }

  blob(blob: Blob): void {
    this.#waiting.push(blob);
    if (this.#waiting.length === 1) this.#read(blob);
  }

  /** Closes the transport when everything has been handed to it. */
  close(): void {
    if (this.#waiting.length > 0) {
      this.#closeAtEnd = true;
    } else {
      this.flush();
      this.#transport.close();
    }
  }

  /** Hands down what has gathered. */
  flush(): void {
    if (this.#count === 0 || this.#pool === undefined || this.#frames === undefined) return;
    const [bytes, frames] = [this.#pool.subarray(0, this.#length), this.#frames.subarray(0, this.#count)];
    this.#length = 0;
    this.#count = 0;
    this.#transport.sendBatch(bytes, frames);
  }

  #read(blob: Blob): void {
    blob.arrayBuffer().then(
      (buffer) => this.#readDone(new Uint8Array(buffer)),
      () => {
        // Its data is gone (a file that was deleted); the messages behind it must not take its place.
        this.#waiting.length = 0;
        this.#blobFailed();
      },
    );
  }

  #readDone(bytes: Uint8Array): void {
    if (this.#waiting.length === 0) return;
    const behind = this.#waiting.splice(0).slice(1);
    this.binary(bytes);
    for (const [index, message] of behind.entries()) {
      if (typeof message === 'string') {
        this.text(message, Buffer.byteLength(message));
      } else if (message instanceof Uint8Array) {
        this.binary(message);
      } else {
        this.#waiting.push(message, ...behind.slice(index + 1));
        this.#read(message);
        return;
      }
    }
    if (this.#closeAtEnd) this.close();
  }

  #room(byteLength: number): Buffer {
    this.#pool ??= Buffer.allocUnsafeSlow(POOL_BYTES);
    this.#frames ??= new Uint32Array(POOL_MESSAGES);
    if (this.#length + byteLength > POOL_BYTES || this.#count === POOL_MESSAGES) this.flush();
    return this.#pool;
  }

  #add(byteLength: number, flag: number): void {
    if (this.#frames !== undefined) this.#frames[this.#count] = byteLength | flag;
    this.#count += 1;
    this.#length += byteLength;
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.flush();
    });
  }
}
