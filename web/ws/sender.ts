// The sending side of a WebSocket of `ws`: messages with their callbacks, which are called when the network has taken
// what they were given with, and messages that come in fragments.

import { AsyncResource } from 'node:async_hooks';
import { nextTick } from 'node:process';
import type { Connection } from '../websocket/native.js';
import { type Compression, Sending } from '../websocket/sending.js';
import { toBytes } from './data.js';

export type Written = (error?: Error) => void;

/** How a message is sent. */
export interface SendOptions {
  binary?: boolean | undefined;
  compress?: boolean | undefined;
  fin?: boolean | undefined;
  mask?: boolean | undefined;
}

/** A callback that waits, and the stores of AsyncLocalStorage that were active where it was given: they are so in its call. */
class Waiting extends AsyncResource {
  /** Called when so many bytes have been taken since the beginning. */
  readonly behind: number;
  readonly #written: Written;

  constructor(behind: number, written: Written) {
    super('webwire.send');
    this.behind = behind;
    this.#written = written;
  }

  /** In a tick of its own: one that throws must not keep the others from being called. */
  call(error?: Error): void {
    if (error === undefined) this.runInAsyncScope(nextTick, undefined, this.#written);
    else this.runInAsyncScope(nextTick, undefined, this.#written, error);
  }
}

/** A message whose last fragment is still to come. */
interface Fragmented {
  readonly isText: boolean;
  readonly compression: Compression;
  readonly parts: Uint8Array[];
  readonly written: Written[];
}

export class Sender {
  readonly #connection: Connection;
  readonly #sending: Sending;
  /** Bytes of messages since the beginning. */
  #given = 0;
  #waiting: Waiting[] = [];
  #fragmented: Fragmented | undefined;
  /** Compression is not agreed: then nobody has to say that it is not wanted. */
  neverCompresses = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#sending = new Sending(connection, { took: () => this.#took() });
  }

  get bufferedAmount(): number {
    return this.#sending.untaken;
  }

  /** A whole text message. */
  text(data: string, written: Written | undefined): void {
    const before = this.#sending.bufferedAmount;
    this.#sending.text(data);
    this.#sent(before, written);
  }

  blob(data: Blob, options: SendOptions, written: Written | undefined): void {
    const before = this.#sending.bufferedAmount;
    this.#sending.blob(data, this.#compression(options));
    this.#sent(before, written);
  }

  /** A message, or a fragment of one. */
  message(data: unknown, options: SendOptions, written: Written | undefined): void {
    const isText = options.binary === undefined ? typeof data === 'string' : !options.binary;
    const compression = this.#compression(options);
    if (options.fin !== false && this.#fragmented === undefined) {
      if (isText && typeof data === 'string' && compression === 'allowed') this.text(data, written);
      else this.#whole(isText, toBytes(data), compression, written);
      return;
    }
    // The engine has no fragments to send: the message leaves when it is whole, in the way of its first fragment.
    this.#fragmented ??= { isText, compression, parts: [], written: [] };
    this.#fragmented.parts.push(Buffer.from(toBytes(data)));
    if (written !== undefined) this.#fragmented.written.push(AsyncResource.bind(written));
    if (options.fin === false) return;
    const { isText: text, compression: way, parts, written: all } = this.#fragmented;
    this.#fragmented = undefined;
    this.#whole(text, Buffer.concat(parts), way, undefined);
    for (const one of all) this.#awaited(one);
  }

  ping(data: Uint8Array, written: Written | undefined): void {
    this.#sending.ping(data);
    this.#sent(this.#sending.bufferedAmount, written);
  }

  pong(data: Uint8Array, written: Written | undefined): void {
    this.#sending.pong(data);
    this.#sent(this.#sending.bufferedAmount, written);
  }

  /** What is sent after the close counts and goes nowhere. */
  discard(data: string | Uint8Array | Blob): void {
    const before = this.#sending.bufferedAmount;
    this.#sending.discard(data);
    this.#given += this.#sending.bufferedAmount - before;
  }

  close(code: number | undefined, reason: string): void {
    this.#sending.close(code, reason);
  }

  acknowledge(): void {
    this.#sending.acknowledge();
  }

  drained(bytes: number): void {
    this.#sending.drained(bytes);
  }

  abort(): void {
    this.#connection.abort();
  }

  /** The connection has ended: what waits is told so. */
  end(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) one.call(error);
    for (const written of this.#fragmented?.written ?? []) nextTick(written, error);
    this.#fragmented = undefined;
  }

  #compression({ compress }: SendOptions): Compression {
    return compress === false && !this.neverCompresses ? 'none' : 'allowed';
  }

  #whole(isText: boolean, bytes: Uint8Array, compression: Compression, written: Written | undefined): void {
    const before = this.#sending.bufferedAmount;
    if (compression === 'none') this.#sending.uncompressed(isText ? 'text' : 'binary', bytes);
    else if (isText) this.#sending.utf8(bytes);
    else this.#sending.binary(bytes);
    this.#sent(before, written);
  }

  #sent(before: number, written: Written | undefined): void {
    this.#given += this.#sending.bufferedAmount - before;
    if (written !== undefined) this.#awaited(written);
  }

  #awaited(written: Written): void {
    if (this.#sending.untaken === 0) nextTick(written);
    else this.#waiting.push(new Waiting(this.#given, written));
  }

  #took(): void {
    if (this.#waiting.length === 0) return;
    const taken = this.#given - this.#sending.untaken;
    let due = 0;
    for (const one of this.#waiting) {
      if (one.behind > taken) break;
      due += 1;
      one.call();
    }
    this.#waiting.splice(0, due);
  }
}
