// https://www.w3.org/TR/webtransport/#datagram-duplex-stream

import { DOMException } from '../errors.js';
import { WritableStream } from '../streams.js';
import {
  BufferSource,
  defineInterface,
  illegalConstructor,
  nullable,
  unrestrictedDouble,
  unsignedLong,
} from '../webidl.js';
import { IncomingDatagrams } from './incoming-datagrams.js';
import {
  checkSendGroup,
  SendPlace,
  type SendPlaceOptions,
  type WebTransportSendGroup,
  WebTransportSendOptions,
} from './send-group.js';
import type { Session } from './session.js';

/** What `maxDatagramSize` says before the path is known: every QUIC path takes so much. */
const INITIAL_SIZE = 1024;
/** No datagram is longer, whatever the path. */
const LONGEST = 65_535;
/** The queue's limit at first; the same number stands in `src/webtransport/datagrams.rs`. */
const OUTGOING = 64;

interface Settle {
  resolve(): void;
  reject(reason: unknown): void;
}

/** The underlying sink of one writable of a session. */
class Sink {
  readonly #datagrams: Datagrams;
  readonly place: SendPlace;
  controller!: WritableStreamDefaultController;

  constructor(datagrams: Datagrams, place: SendPlace) {
    this.#datagrams = datagrams;
    this.place = place;
  }

  start(controller: WritableStreamDefaultController): void {
    this.controller = controller;
  }

  write(chunk: unknown): Promise<void> | undefined {
    return this.#datagrams.send(BufferSource(chunk, "Failed to execute 'write': chunk"), this.place);
  }
}

export class WebTransportDatagramsWritable extends WritableStream<unknown> {
  readonly #place: SendPlace;

  constructor(sink?: unknown) {
    if (!(sink instanceof Sink)) throw illegalConstructor();
    super(sink);
    this.#place = sink.place;
  }

  get sendGroup(): WebTransportSendGroup | null {
    return this.#place.sendGroup;
  }

  set sendGroup(value: unknown) {
    this.#place.setSendGroup(value);
  }

  get sendOrder(): number {
    return this.#place.sendOrder;
  }

  set sendOrder(value: unknown) {
    this.#place.setSendOrder(value);
  }
}

defineInterface(WebTransportDatagramsWritable, { constructorLength: 0 });

/** The datagrams of a session, behind the object that shows them. */
export class Datagrams {
  readonly #session: Session;
  /** Writes that wait for room, or for the session. */
  readonly #waiting: { bytes: Uint8Array | undefined; place: SendPlace; settle: Settle }[] = [];
  /** Weak, so that a writable that nobody has is not kept. */
  #writables: WeakRef<Sink>[] = [];
  readonly incoming: IncomingDatagrams;
  readonly outgoing = { maxAge: null as number | null, maxBuffered: OUTGOING };

  constructor(session: Session) {
    this.#session = session;
    this.incoming = new IncomingDatagrams(session, session.preferences.datagramsReadableType);
  }

  /** https://www.w3.org/TR/webtransport/#dom-webtransportdatagramduplexstream-createwritable */
  createWritable(options?: SendPlaceOptions): WebTransportDatagramsWritable {
    const place = new SendPlace(this.#session);
    if (options !== undefined) {
      // 3.
      checkSendGroup(this.#session, options.sendGroup);
      // 4.
      if (this.#session.isOver) throw new DOMException('the session has ended', 'InvalidStateError');
      place.take(options);
    }
    const sink = new Sink(this, place);
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
  send(bytes: Uint8Array, place: SendPlace): Promise<void> | undefined {
    // What can't fit is dropped, as the specification says.
    if (bytes.byteLength > LONGEST || this.#session.isOver) return undefined;
    if (this.#session.isOpen) {
      if (this.#waiting.length === 0 && this.#hand(bytes, place)) return undefined;
      return this.#wait(this.#waiting.length === 0 ? undefined : bytes.slice(), place);
    }
    return this.#wait(bytes.slice(), place);
  }

  #hand(bytes: Uint8Array, place: SendPlace): boolean {
    return this.#session.native.sendDatagram(bytes, place.group, place.sendOrder);
  }

  #wait(bytes: Uint8Array | undefined, place: SendPlace): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes, place, settle: { resolve, reject } });
      this.#session.keep();
    });
  }

  /** There is room: what waited is sent, in order. */
  writable(): void {
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      if (first.bytes !== undefined && !this.#hand(first.bytes, first.place)) {
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
    return this.#datagrams.createWritable(
      WebTransportSendOptions(options, "Failed to execute 'createWritable': options"),
    );
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
