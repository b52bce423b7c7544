// The bytes that come with an event of the native core, and how a script gets its own of them.

import { markAsUntransferable } from 'node:worker_threads';

/** Flags beside the kind of a record; the same numbers stand in `src/hub.rs`. */
const ASCII = 1 << 16;
/** The payload is not in the batch but has to be asked for. */
export const BESIDE = 1 << 17;

/** Bytes of the small payloads of a batch. */
const BYTES_A_BATCH = 256 * 1024;

/** The native core's large payloads, one after the other. */
export interface Beside {
  take(target: Uint8Array): void;
  skip(): void;
}

/** What `toString` of a Buffer calls in the end; at the length of most messages the way there costs as much again. */
interface Sliceable extends Buffer<ArrayBuffer> {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

/** ASCII text up to this length is cut from a longer piece when more of it stands side by side. */
const SMALL_TEXT = 128;
/** The length of such a piece: what a script that keeps one small text can keep at most with it. */
const TEXT_PIECE = 1024;

/** Binary data up to this length is cut from a longer copy when more of it stands side by side. */
const SMALL_BYTES = 2048;
/** The length of such a copy: it doubles up to the second. A script that keeps one small Buffer can keep so much with it. */
const FIRST_COPY = 2048;
const LONGEST_COPY = 32 * 1024;

/** What `Buffer.from(arrayBuffer, offset, length)` makes in the end. */
const FastBuffer = Reflect.get(Buffer, Symbol.species) as new (
  memory: ArrayBuffer,
  at: number,
  length: number,
) => Buffer;

/** The bytes that came with an event. Valid during the dispatch only; each method makes a copy for the script. */
export class Payload {
  length = 0;
  readonly #pool = Buffer.allocUnsafeSlow(BYTES_A_BATCH) as Sliceable;
  readonly #view = new Uint8Array(this.#pool.buffer);
  /** A part of the pool as text, and where it begins and ends there. */
  #piece = '';
  #pieceStart = 0;
  #pieceEnd = 0;
  #lastTextEnd = -1;
  /** A copy of a part of the pool, and where it begins and ends there. */
  #copy = new ArrayBuffer(0);
  #copyStart = 0;
  #copyEnd = 0;
  #copyLength = FIRST_COPY;
  #lastBytesEnd = -1;
  #native: Beside | undefined;
  #start = 0;
  #flags = 0;
  #taken = true;

  /** The reused memory that batches are copied into. */
  get pool(): Buffer {
    return this.#pool;
  }

  /** Points at the next record's bytes. */
  next(source: Beside, start: number, length: number, flags: number): void {
    // Not behind the dispatch, in a `finally`: that costs five percent of a short message.
    if (!this.#taken) this.end();
    this.#native = source;
    this.#start = start;
    this.length = length;
    this.#flags = flags;
    this.#taken = (flags & BESIDE) === 0;
    if (start === 0) {
      // The pool has been filled anew.
      this.#pieceEnd = 0;
      this.#lastTextEnd = -1;
      this.#copyStart = 0;
      this.#copyEnd = 0;
      this.#copyLength = FIRST_COPY;
      this.#lastBytesEnd = -1;
    }
  }

  /** Drops what nobody asked for, at the end of a batch; `next` does so, too. */
  end(): void {
    if (!this.#taken) {
      this.#taken = true;
      this.#native?.skip();
    }
  }

  text(): string {
    const ascii = (this.#flags & ASCII) !== 0;
    if ((this.#flags & BESIDE) !== 0) return this.#beside().toString(ascii ? 'latin1' : 'utf8');
    const end = this.#start + this.length;
    return ascii ? this.#ascii(this.#start, end) : this.#pool.utf8Slice(this.#start, end);
  }

  /** A part of a string costs a quarter of a string that is made from bytes. */
  #ascii(start: number, end: number): string {
    const follows = start === this.#lastTextEnd;
    this.#lastTextEnd = end;
    if (end > this.#pieceEnd) {
      if (!follows || end - start > SMALL_TEXT) return this.#pool.latin1Slice(start, end);
      this.#pieceStart = start;
      this.#pieceEnd = start + TEXT_PIECE;
      this.#piece = this.#pool.latin1Slice(start, Math.min(this.#pieceEnd, BYTES_A_BATCH));
    }
    return this.#piece.substring(start - this.#pieceStart, end - this.#pieceStart);
  }

  /** A `Buffer`. Small ones that come together share memory, and so do others with Node's pool, as Node's own do. */
  buffer(): Buffer {
    if ((this.#flags & BESIDE) !== 0) return this.#beside();
    const start = this.#start;
    const end = start + this.length;
    const follows = start === this.#lastBytesEnd;
    this.#lastBytesEnd = end;
    if (end > this.#copyEnd) {
      if (!follows || this.length > SMALL_BYTES) {
        const buffer = Buffer.allocUnsafe(this.length);
        this.#pool.copy(buffer, 0, start, end);
        return buffer;
      }
      // To copy once and make views costs a third of a copy for each.
      this.#copyStart = start;
      this.#copyEnd = Math.min(start + this.#copyLength, BYTES_A_BATCH);
      this.#copy = this.#pool.buffer.slice(start, this.#copyEnd);
      // As Node's pool is: whoever transfers one Buffer must not take the others along.
      markAsUntransferable(this.#copy);
      this.#copyLength = Math.min(this.#copyLength * 2, LONGEST_COPY);
    }
    return new FastBuffer(this.#copy, start - this.#copyStart, this.length);
  }

  /** A `Uint8Array` over an `ArrayBuffer` of exactly its length. */
  bytes(): Uint8Array<ArrayBuffer> {
    if ((this.#flags & BESIDE) !== 0) {
      const { buffer } = this.#beside();
      return new Uint8Array(buffer);
    }
    return this.#view.slice(this.#start, this.#start + this.length);
  }

  arrayBuffer(): ArrayBuffer {
    if ((this.#flags & BESIDE) !== 0) return this.#beside().buffer;
    return this.bytes().buffer;
  }

  #beside(): Buffer<ArrayBuffer> {
    // Every byte is written by `take`.
    const buffer = Buffer.allocUnsafeSlow(this.length);
    if (!this.#taken) {
      this.#taken = true;
      this.#native?.take(buffer);
    }
    return buffer;
  }
}
