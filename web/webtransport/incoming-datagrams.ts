// The datagrams that a session receives. https://www.w3.org/TR/webtransport/#pulldatagrams
//
// They are taken from the native queue many at once. Those that no read has asked for yet stay subject to the limits of the queue:
// before one of them is read later than a moment they are looked through again.

import { performance } from 'node:perf_hooks';
import type { UnderlyingByteSource } from 'node:stream/web';
import { closeByteStream, ReadableStream } from '../streams.js';
import type { Session } from './session.js';

/** Until a script says otherwise; the same number stands in `src/webtransport/incoming_datagrams.rs`. */
const MAX_BUFFERED = 4096;
/** Datagrams taken in one call at most, and their bytes: no datagram is longer. */
const MOST = 64;
const BYTES = 64 * 1024;
/** The words that say the length and the age, in microseconds, of one that was taken. */
const MARK_WORDS = 2;
/** For so long datagrams that were taken count as just taken. */
const MOMENT_MS = 1;

/** What a call fills; empty again before any other script runs. */
const bytes = new Uint8Array(BYTES);
const marks = new Uint32Array(MOST * MARK_WORDS);
const markBytes = new Uint8Array(marks.buffer);

type Chunk = Uint8Array<ArrayBuffer>;

/** The queue, and the underlying source of its stream. */
export class IncomingDatagrams {
  readonly type: 'bytes' | undefined;
  readonly readable: ReadableStream<Chunk>;
  readonly #session: Session;
  #controller!: ReadableStreamDefaultController<Chunk> | ReadableByteStreamController;
  /** A read waits. */
  wanted = false;
  /** The script wants no more, or the stream has errored. */
  #over = false;
  /** Datagrams that were taken; those from `#at` on have not been read. */
  #taken: Chunk[] = [];
  #at = 0;
  /** How old each was when they were taken, in milliseconds, and when that was and when they were last looked through. */
  #ages: Float64Array | undefined;
  #takenAt = 0;
  #reviewedAt = 0;
  #maxAge: number | null = null;
  #maxBuffered = MAX_BUFFERED;

  constructor(session: Session, type: 'bytes' | undefined) {
    this.#session = session;
    this.type = type;
    this.readable = new ReadableStream(this as UnderlyingByteSource, { highWaterMark: 0 });
  }

  start(controller: ReadableStreamDefaultController<Chunk> | ReadableByteStreamController): void {
    this.#controller = controller;
  }

  cancel(): void {
    this.#over = true;
    this.wanted = false;
    this.#forget();
  }

  get maxAge(): number | null {
    return this.#maxAge;
  }

  set maxAge(value: number | null) {
    this.#maxAge = value;
    this.configure();
  }

  get maxBuffered(): number {
    return this.#maxBuffered;
  }

  set maxBuffered(value: number) {
    this.#maxBuffered = value;
    this.configure();
  }

  /** Tells the native half the limits. */
  configure(): void {
    // Those that were taken are subject to them too.
    this.#reviewedAt = -Infinity;
    if (this.#session.isOpen) this.#session.native.setIncomingDatagrams(this.#maxBuffered, this.#maxAge ?? undefined);
  }

  pull(): void {
    const datagram = this.#next();
    if (datagram !== undefined) {
      this.#enqueue(datagram);
      return;
    }
    this.wanted = true;
    this.#session.keep();
  }

  /** There is a datagram. */
  arrived(): void {
    const datagram = this.wanted ? this.#next() : undefined;
    if (datagram === undefined) return;
    this.wanted = false;
    this.#session.keep();
    try {
      this.#enqueue(datagram);
    } catch (error) {
      // An assertion of Node's streams fails, where two reads follow one that was given up with a part of its view filled.
      this.#over = true;
      this.error(error);
    }
  }

  /** The oldest that no read has got; a byte stream can't carry an empty one. */
  #next(): Chunk | undefined {
    for (;;) {
      if (this.#at < this.#taken.length && performance.now() - this.#reviewedAt > MOMENT_MS) this.#review();
      if (this.#at === this.#taken.length && !this.#take()) return undefined;
      const datagram = this.#taken[this.#at] as Chunk;
      this.#at += 1;
      if (datagram.byteLength > 0 || !('byobRequest' in this.#controller)) return datagram;
    }
  }

  #take(): boolean {
    this.#forget();
    const count = this.#session.isOpen ? this.#session.native.takeDatagrams(bytes, markBytes) : 0;
    if (count > 0) this.#ages ??= new Float64Array(MOST);
    const ages = this.#ages as Float64Array;
    let start = 0;
    for (let index = 0; index < count; index += 1) {
      const end = start + (marks[index * MARK_WORDS] as number);
      this.#taken.push(bytes.slice(start, end));
      ages[index] = (marks[index * MARK_WORDS + 1] as number) / 1000;
      start = end;
    }
    this.#takenAt = performance.now();
    this.#reviewedAt = this.#takenAt;
    return count > 0;
  }

  /** Drops of those that were taken what the queue would have dropped meanwhile. */
  #review(): void {
    if (!this.#session.isOpen) return;
    const { native } = this.#session;
    this.#reviewedAt = performance.now();
    const held = this.#taken.length - this.#at;
    const dropped = Math.min(Math.max(held + native.waitingDatagrams() - this.#maxBuffered, 0), held);
    this.#at += dropped;
    const first = this.#at;
    const since = this.#reviewedAt - this.#takenAt;
    const maxAge = this.#maxAge ?? Infinity;
    const ages = this.#ages as Float64Array;
    while (this.#at < this.#taken.length && (ages[this.#at] as number) + since > maxAge) this.#at += 1;
    if (dropped > 0 || this.#at > first) native.loseDatagrams(dropped, this.#at - first);
  }

  #forget(): void {
    this.#taken.length = 0;
    this.#at = 0;
  }

  #enqueue(datagram: Chunk): void {
    const controller = this.#controller;
    const request = 'byobRequest' in controller ? controller.byobRequest : null;
    if (!request?.view) {
      controller.enqueue(datagram as never);
      return;
    }
    const { buffer, byteOffset, byteLength } = request.view;
    if (byteLength < datagram.byteLength) {
      this.#over = true;
      this.#forget();
      controller.error(new RangeError(`a datagram of ${datagram.byteLength} bytes is longer than the buffer`));
      return;
    }
    new Uint8Array(buffer, byteOffset).set(datagram);
    request.respond(datagram.byteLength);
  }

  close(): void {
    this.#forget();
    if (this.#over) return;
    const controller = this.#controller;
    if ('byobRequest' in controller) closeByteStream(controller);
    else controller.close();
  }

  error(error: unknown): void {
    this.#forget();
    this.#controller.error(error);
  }
}
