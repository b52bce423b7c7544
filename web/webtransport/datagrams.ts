// https://www.w3.org/TR/webtransport/#datagram-duplex-stream

import { WritableStream } from '../streams.js';
import {
  BufferSource,
  defineInterface,
  dictionary,
  illegalConstructor,
  longLong,
  nullable,
  unrestrictedDouble,
  unsignedLong,
} from '../webidl.js';
import { IncomingDatagrams } from './incoming-datagrams.js';
import type { Session } from './session.js';

/** What `maxDatagramSize` says before the path is known: every QUIC path takes so much. */
const INITIAL_SIZE = 1024;
/** No datagram is longer, whatever the path. */
const LONGEST = 65_535;
/** The queue's limit at first; the same number stands in `src/webtransport/datagrams.rs`. */
const OUTGOING = 64;

const WebTransportSendOptions = dictionary('WebTransportSendOptions', {
  sendOrder: { type: longLong(), default: () => 0 },
});

interface Settle {
  resolve(): void;
  reject(reason: unknown): void;
}

/** The underlying sink of one writable of a session. */
class Sink {
  readonly #datagrams: Datagrams;
  controller!: WritableStreamDefaultController;

  constructor(datagrams: Datagrams) {
    this.#datagrams = datagrams;
  }

  start(controller: WritableStreamDefaultController): void {
    this.controller = controller;
  }

  write(chunk: unknown): Promise<void> | undefined {
    return this.#datagrams.send(BufferSource(chunk, "Failed to execute 'write': chunk"));
  }
}

export class WebTransportDatagramsWritable extends WritableStream<unknown> {
  constructor(sink?: unknown) {
    if (!(sink instanceof Sink)) throw illegalConstructor();
    super(sink);
  }
}

defineInterface(WebTransportDatagramsWritable, { constructorLength: 0 });

/** The datagrams of a session, behind the object that shows them. */
export class Datagrams {
  readonly #session: Session;
  /** Writes that wait for room, or for the session. */
  readonly #waiting: { bytes: Uint8Array | undefined; settle: Settle }[] = [];
  /** Weak, so that a writable that nobody has is not kept. */
  #writables: WeakRef<Sink>[] = [];
  readonly incoming: IncomingDatagrams;
  readonly outgoing = { maxAge: null as number | null, maxBuffered: OUTGOING };

  constructor(session: Session) {
    this.#session = session;
    this.incoming = new IncomingDatagrams(session, session.preferences.datagramsReadableType);
  }

  createWritable(): WebTransportDatagramsWritable {
    const sink = new Sink(this);
    const writable = new WebTransportDatagramsWritable(sink);
    this.#writables = this.#writables.filter((other) => other.deref() !== undefined);
    this.#writables.push(new WeakRef(sink));
    return writable;
  }

  get maxDatagramSize(): number {
    return this.#session.isOpen ? this.#session.native.maxDatagramSize() : INITIAL_SIZE;
  }

  /** Whether a script waits for a datagram, or to send one. */
  get isAwaited(): boolean {
    return this.incoming.wanted || this.#waiting.length > 0;
  }

  /** Tells the native half the limits that a script has set for what is sent. */
  configure(): void {
    if (!this.#session.isOpen) return;
    const { outgoing } = this;
    this.#session.native.setOutgoingDatagrams(outgoing.maxBuffered, outgoing.maxAge ?? undefined);
  }

  /** https://www.w3.org/TR/webtransport/#writedatagrams */
  send(bytes: Uint8Array): Promise<void> | undefined {
    // What can't fit is dropped, as the specification says.
    if (bytes.byteLength > LONGEST || this.#session.isOver) return undefined;
    if (this.#session.isOpen) {
      if (this.#waiting.length === 0 && this.#session.native.sendDatagram(bytes)) return undefined;
      return this.#wait(this.#waiting.length === 0 ? undefined : bytes.slice());
    }
    return this.#wait(bytes.slice());
  }

  #wait(bytes: Uint8Array | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes, settle: { resolve, reject } });
      this.#session.keep();
    });
  }

  /** There is room: what waited is sent, in order. */
  writable(): void {
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      if (first.bytes !== undefined && !this.#session.native.sendDatagram(first.bytes)) {
        // It is in the queue; the next has to wait.
        first.bytes = undefined;
        return;
      }
      this.#waiting.shift();
      this.#session.keep();
      first.settle.resolve();
    }
  }

  established(): void {
    this.configure();
    this.incoming.configure();
    this.incoming.arrived();
    this.writable();
  }

  close(): void {
    this.incoming.close();
    for (const { settle } of this.#waiting.splice(0)) settle.resolve();
    for (const sink of this.#writables) sink.deref()?.controller.error(this.#session.endError());
  }

  error(error: unknown): void {
    this.incoming.error(error);
    for (const { settle } of this.#waiting.splice(0)) settle.reject(error);
    for (const sink of this.#writables) sink.deref()?.controller.error(error);
  }
}

export function createDatagrams(session: Session): Datagrams {
  return new Datagrams(session);
}

export class WebTransportDatagramDuplexStream {
  readonly #datagrams: Datagrams;
  #writable: WebTransportDatagramsWritable | undefined;

  constructor(datagrams?: unknown) {
    if (!(datagrams instanceof Datagrams)) throw illegalConstructor();
    this.#datagrams = datagrams;
  }

  createWritable(options?: unknown): WebTransportDatagramsWritable {
    WebTransportSendOptions(options, "Failed to execute 'createWritable': options");
    return this.#datagrams.createWritable();
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#datagrams.incoming.readable;
  }

  get maxDatagramSize(): number {
    return this.#datagrams.maxDatagramSize;
  }

  get incomingMaxAge(): number | null {
    return this.#datagrams.incoming.maxAge;
  }

  set incomingMaxAge(value: unknown) {
    this.#datagrams.incoming.maxAge = age(value, 'incomingMaxAge');
  }

  get outgoingMaxAge(): number | null {
    return this.#datagrams.outgoing.maxAge;
  }

  set outgoingMaxAge(value: unknown) {
    this.#datagrams.outgoing.maxAge = age(value, 'outgoingMaxAge');
    this.#datagrams.configure();
  }

  get incomingMaxBufferedDatagrams(): number {
    return this.#datagrams.incoming.maxBuffered;
  }

  set incomingMaxBufferedDatagrams(value: unknown) {
    this.#datagrams.incoming.maxBuffered = buffered(value, 'incomingMaxBufferedDatagrams');
  }

  get outgoingMaxBufferedDatagrams(): number {
    return this.#datagrams.outgoing.maxBuffered;
  }

  set outgoingMaxBufferedDatagrams(value: unknown) {
    this.#datagrams.outgoing.maxBuffered = buffered(value, 'outgoingMaxBufferedDatagrams');
    this.#datagrams.configure();
  }

  /** The name that browsers had before `createWritable()`: one stream, always the same. */
  get writable(): WebTransportDatagramsWritable {
    this.#writable ??= this.#datagrams.createWritable();
    return this.#writable;
  }

  /** The older name of `incomingMaxBufferedDatagrams`. */
  get incomingHighWaterMark(): number {
    return this.#datagrams.incoming.maxBuffered;
  }

  set incomingHighWaterMark(value: unknown) {
    this.#datagrams.incoming.maxBuffered = buffered(value, 'incomingHighWaterMark');
  }

  /** The older name of `outgoingMaxBufferedDatagrams`. */
  get outgoingHighWaterMark(): number {
    return this.#datagrams.outgoing.maxBuffered;
  }

  set outgoingHighWaterMark(value: unknown) {
    this.#datagrams.outgoing.maxBuffered = buffered(value, 'outgoingHighWaterMark');
    this.#datagrams.configure();
  }
}

defineInterface(WebTransportDatagramDuplexStream, { constructorLength: 0, lengths: { createWritable: 0 } });

/** Negative and NaN throw RangeError, 0 is no limit. */
function age(value: unknown, name: string): number | null {
  const converted = nullable(unrestrictedDouble)(value, name);
  if (converted === null || converted === 0) return null;
  if (Number.isNaN(converted) || converted < 0) throw new RangeError(`${name} must not be negative`);
  return converted;
}

function buffered(value: unknown, name: string): number {
  return Math.max(1, unsignedLong()(value, name));
}
