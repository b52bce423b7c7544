// The sending side of a WebSocket: what `send()` hands down, and how much of it the network has not taken yet.
// https://websockets.spec.whatwg.org/#dom-websocket-send
//
// The first message of an idle socket goes down at once. Those that follow in the same turn are gathered in a buffer and
// go down together. While a Blob is being read, everything behind it waits.

import { setImmediate as setRealImmediate } from 'node:timers';
import { hub } from '../hub.js';
import type { Connection } from './native.js';

/** Not those that a subclass or a script may have put in their place. */
const { arrayBuffer } = globalThis.Blob.prototype;

type Waiting =
  | { type: 'text' | 'binary'; data: Uint8Array; compression: Compression }
  | { type: 'blob'; blob: Blob; compression: Compression }
  | { type: 'close'; code: number | undefined; reason: string };

/** Whether a message may be compressed, where that is agreed. */
export type Compression = 'allowed' | 'none';

/** Bytes of a batch. */
const BATCH = 64 * 1024;
/** Messages from this length on are handed down by themselves: their copy costs more than the call. */
const LARGE = 16 * 1024;
/** Length word before each message, with a flag for text. */
const HEAD = 4;
const TEXT = 0x80;
/** UTF-8 bytes of a UTF-16 unit, at most. */
const UTF8_UNIT = 3;
const MAX_SPARE_BATCHES = 16;

const spareBatches: Buffer[] = [];
const single = Buffer.allocUnsafeSlow(HEAD + LARGE);
const { byteLength } = Buffer;

let settling: Sending[] = [];

/** Once a turn of the event loop; `bufferedAmount` tells the tasks in between apart by themselves. */
function settle(): void {
  const sendings = settling;
  settling = [];
  for (const sending of sendings) Sending.settle(sending);
}

function putHead(buffer: Uint8Array, at: number, length: number, flag: number): void {
  buffer[at] = length;
  buffer[at + 1] = length >>> 8;
  buffer[at + 2] = length >>> 16;
  buffer[at + 3] = (length >>> 24) | flag;
}

/** What whoever sends may want to hear. */
interface Hearer {
  /** `bufferedAmount` has fallen. */
  fell?(): void;
  /** The network has taken something, whatever `bufferedAmount` says in this task. */
  took?(): void;
}

export class Sending {
  readonly #connection: Connection;
  readonly #hearer: Hearer;
  #bufferedAmount = 0;
  /** Taken by the network and not yet off the amount: that falls between tasks only. */
  #taken = 0;
  /** How much of that in the task that is running, or was the last one to send. */
  #takenLately = 0;
  #lastTask = 0;
  #batch: Buffer | undefined;
  #batchLength = 0;
  #batchBytes = 0;
  #waiting: Waiting[] | undefined;

  constructor(connection: Connection, hearer: Hearer = {}) {
    this.#connection = connection;
    this.#hearer = hearer;
  }

  get bufferedAmount(): number {
    const hidden = this.#lastTask === hub.task ? this.#takenLately : 0;
    return this.#bufferedAmount - this.#taken + hidden;
  }

  /** Bytes that the network has not taken. */
  get untaken(): number {
    return this.#bufferedAmount - this.#taken;
  }

  text(data: string): void {
    if (this.#waiting !== undefined || data.length * UTF8_UNIT > LARGE) {
      this.#whole('text', Buffer.from(data, 'utf8'));
      return;
    }
    if (this.#bufferedAmount === 0 && this.#batch === undefined) {
      const length = single.write(data, HEAD, 'utf8');
      putHead(single, 0, length, TEXT);
      this.#single(length);
      return;
    }
    const batch = this.#room(data.length * UTF8_UNIT);
    const length = batch.write(data, this.#batchLength + HEAD, 'utf8');
    putHead(batch, this.#batchLength, length, TEXT);
    this.#added(length);
  }

  binary(data: Uint8Array): void {
    this.#bytes('binary', 0, data);
  }

  /** A text message that is given as UTF-8. */
  utf8(data: Uint8Array): void {
    this.#bytes('text', TEXT, data);
  }

  blob(blob: Blob, compression: Compression = 'allowed'): void {
    this.#bufferedAmount += blob.size;
    this.#wait({ type: 'blob', blob, compression });
  }

  /** A message, text as UTF-8, that is not compressed. */
  uncompressed(type: 'text' | 'binary', data: Uint8Array): void {
    this.#whole(type, this.#waiting === undefined ? data : data.slice(), 'none');
  }

  /** What is sent when the socket is closing or closed counts and goes nowhere. */
  discard(data: string | Uint8Array | Blob): void {
    if (typeof data === 'string') this.#bufferedAmount += byteLength(data, 'utf8');
    else this.#bufferedAmount += data instanceof Uint8Array ? data.byteLength : data.size;
  }

  /** Starts the closing handshake behind everything that was sent. */
  close(code: number | undefined, reason: string): void {
    if (this.#waiting !== undefined) {
      this.#wait({ type: 'close', code, reason });
      return;
    }
    this.#flush();
    this.#connection.close(code, reason);
  }

  /** Lets the peer's Close frame, or its fault, be answered: behind what the script has sent meanwhile. */
  acknowledge(): void {
    this.#flush();
    this.#connection.acknowledge();
  }

  /** Whether a message that others get as well can be handed down now, behind everything that was sent. */
  clearsWay(): boolean {
    if (this.#waiting !== undefined) return false;
    this.#flush();
    return true;
  }

  /** The network has not taken all of such a message. */
  queued(bytes: number): void {
    this.#bufferedAmount += bytes;
  }

  ping(data: Uint8Array): void {
    this.#flush();
    this.#connection.ping(data);
  }

  pong(data: Uint8Array): void {
    this.#flush();
    this.#connection.pong(data);
  }

  /** The network has taken `bytes` of what it had left waiting. */
  drained(bytes: number): void {
    this.#bufferedAmount -= bytes;
    this.#hearer.took?.();
    this.#hearer.fell?.();
  }

  static settle(sending: Sending): void {
    sending.#bufferedAmount -= sending.#taken;
    sending.#taken = 0;
    sending.#takenLately = 0;
    sending.#hearer.fell?.();
  }

  #bytes(type: 'text' | 'binary', flag: number, data: Uint8Array): void {
    const { length } = data;
    if (this.#waiting !== undefined) {
      this.#whole(type, data.slice());
      return;
    }
    if (length > LARGE) {
      this.#whole(type, data);
      return;
    }
    if (this.#bufferedAmount === 0 && this.#batch === undefined) {
      single.set(data, HEAD);
      putHead(single, 0, length, flag);
      this.#single(length);
      return;
    }
    const batch = this.#room(length);
    batch.set(data, this.#batchLength + HEAD);
    putHead(batch, this.#batchLength, length, flag);
    this.#added(length);
  }

  #single(length: number): void {
    this.#bufferedAmount += length;
    this.#account(length, this.#connection.send(single, HEAD + length));
  }

  /** A message of its own, behind what is gathered. */
  #whole(type: 'text' | 'binary', data: Uint8Array, compression: Compression = 'allowed'): void {
    this.#bufferedAmount += data.length;
    if (this.#waiting !== undefined) this.#wait({ type, data, compression });
    else this.#sendWhole(type, data, compression);
  }

  #sendWhole(type: 'text' | 'binary', data: Uint8Array, compression: Compression): void {
    this.#flush();
    const connection = this.#connection;
    let written: boolean;
    if (compression === 'none') {
      written = type === 'text' ? connection.sendTextUncompressed(data) : connection.sendBinaryUncompressed(data);
    } else written = type === 'text' ? connection.sendText(data) : connection.sendBinary(data);
    this.#account(data.length, written);
  }

  #account(bytes: number, written: boolean): void {
    // What is not written now is reported when it is.
    if (!written || bytes === 0) return;
    if (this.#taken === 0 && settling.push(this) === 1) setRealImmediate(settle);
    this.#taken += bytes;
    if (this.#lastTask !== hub.task) {
      this.#lastTask = hub.task;
      this.#takenLately = 0;
    }
    this.#takenLately += bytes;
    this.#hearer.took?.();
  }

  /** The batch, with room for another message. */
  #room(bytes: number): Buffer {
    if (this.#batch !== undefined) {
      if (this.#batchLength + HEAD + bytes <= BATCH) return this.#batch;
      this.#flush();
    }
    const batch = spareBatches.pop() ?? Buffer.allocUnsafeSlow(BATCH);
    this.#batch = batch;
    hub.afterwards(() => this.#flush());
    return batch;
  }

  #added(bytes: number): void {
    this.#batchLength += HEAD + bytes;
    this.#batchBytes += bytes;
    this.#bufferedAmount += bytes;
  }

  #flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    const bytes = this.#batchBytes;
    const written = this.#connection.send(batch, this.#batchLength);
    this.#batch = undefined;
    this.#batchLength = 0;
    this.#batchBytes = 0;
    if (spareBatches.length < MAX_SPARE_BATCHES) spareBatches.push(batch);
    this.#account(bytes, written);
  }

  #wait(item: Waiting): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(item);
      return;
    }
    this.#waiting = [item];
    this.#sendWaiting(this.#waiting).catch(() => {
      // A Blob that can't be read (a file that has gone): its message can't be left out, so the connection ends.
      this.#connection.abort();
    });
  }

  async #sendWaiting(waiting: Waiting[]): Promise<void> {
    for (let item = waiting[0]; item !== undefined; item = waiting[0]) {
      switch (item.type) {
        case 'blob':
          this.#sendWhole('binary', new Uint8Array(await arrayBuffer.call(item.blob)), item.compression);
          break;
        case 'close':
          this.#connection.close(item.code, item.reason);
          break;
        case 'text':
        case 'binary':
          this.#sendWhole(item.type, item.data, item.compression);
          break;
      }
      waiting.shift();
    }
    this.#waiting = undefined;
  }
}
