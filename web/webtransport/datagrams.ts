// https://www.w3.org/TR/webtransport/#datagram-duplex-stream

import { defineInterface, illegalConstructor, nullable, unrestrictedDouble, unsignedLong } from '../webidl.js';
import { IncomingDatagrams } from './incoming-datagrams.js';
import { OutgoingDatagrams, type WebTransportDatagramsWritable } from './outgoing-datagrams.js';
import { WebTransportSendOptions } from './send-group.js';
import type { Session } from './session.js';

/** What `maxDatagramSize` says before the path is known: every QUIC path takes so much. */
const INITIAL_SIZE = 1024;

/** The datagrams of a session, behind the object that shows them. */
export class Datagrams {
  readonly #session: Session;
  readonly incoming: IncomingDatagrams;
  #outgoing: OutgoingDatagrams | undefined;

  constructor(session: Session) {
    this.#session = session;
    this.incoming = new IncomingDatagrams(session, session.preferences.datagramsReadableType);
  }

  /** Made when a script first sends: many only receive. */
  get outgoing(): OutgoingDatagrams {
    this.#outgoing ??= new OutgoingDatagrams(this.#session);
    return this.#outgoing;
  }

  get maxDatagramSize(): number {
    return this.#session.isOpen ? this.#session.native.maxDatagramSize() : INITIAL_SIZE;
  }

  /** Whether a script waits for a datagram, or to send one. */
  get isAwaited(): boolean {
    return this.incoming.wanted || this.#outgoing?.isAwaited === true;
  }

  established(): void {
    this.incoming.configure();
    this.incoming.arrived();
    this.#outgoing?.established();
  }

  close(): void {
    this.incoming.close();
    this.#outgoing?.close();
  }

  error(error: unknown): void {
    this.incoming.error(error);
    this.#outgoing?.error(error);
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
    return this.#datagrams.outgoing.createWritable(
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
  }

  /** The name that browsers had before `createWritable()`: one stream, always the same. */
  get writable(): WebTransportDatagramsWritable {
    this.#writable ??= this.#datagrams.outgoing.legacyWritable();
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
