// The datagrams that a session sends. https://www.w3.org/TR/webtransport/#datagram-writable

import { performance } from 'node:perf_hooks';
import { DOMException } from '../errors.js';
import { WritableStream } from '../streams.js';
import { BufferSource, defineInterface, illegalConstructor } from '../webidl.js';
import { checkSendGroup, SendPlace, type SendPlaceOptions, type WebTransportSendGroup } from './send-group.js';
import type { Session } from './session.js';

/** No datagram is longer, whatever the path. */
const LONGEST = 65_535;
/** Until a script says otherwise; the same number stands in `src/webtransport/datagrams.rs`. */
const MAX_BUFFERED = 64;

interface Settle {
  resolve(): void;
  reject(reason: unknown): void;
}

/** The underlying sink of one writable of a session. */
class Sink {
  readonly #datagrams: OutgoingDatagrams;
  readonly place: SendPlace;
  /** The writable's number in the native core. */
  readonly id: number;
  controller!: WritableStreamDefaultController;
  /** The write that waits until all before it has gone; there is one at most. */
  waiting: Settle | undefined;
  /** The last writer that a script was given. */
  writer: WeakRef<WritableStreamDefaultWriter> | undefined;

  constructor(datagrams: OutgoingDatagrams, place: SendPlace, id: number) {
    this.#datagrams = datagrams;
    this.place = place;
    this.id = id;
  }

  start(controller: WritableStreamDefaultController): void {
    this.controller = controller;
  }

  write(chunk: unknown): Promise<void> | undefined {
    return this.#datagrams.write(this, BufferSource(chunk, "Failed to execute 'write': chunk"));
  }
}

export class WebTransportDatagramsWritable extends WritableStream<unknown> {
  readonly #place: SendPlace;

  constructor(sink?: unknown) {
    if (!(sink instanceof Sink)) throw illegalConstructor();
    super(sink);
    this.#place = sink.place;
    // So that it can be closed while it is locked.
    const getWriter = () => {
      const writer = super.getWriter();
      sink.writer = new WeakRef(writer);
      return writer;
    };
    Object.defineProperty(this, 'getWriter', { value: getWriter, configurable: true, writable: true });
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

export class OutgoingDatagrams {
  readonly #session: Session;
  /** Weak, so that a writable that nobody has is not kept. */
  #writables: { stream: WeakRef<WebTransportDatagramsWritable>; sink: WeakRef<Sink> }[] = [];
  /** The sinks with a write that waits, by their numbers. */
  readonly #waiting = new Map<number, Sink>();
  /** What was written before the session was there, and when. */
  #early: { sink: Sink; bytes: Uint8Array; since: number }[] = [];
  #lastId = 0;
  #maxAge: number | null = null;
  #maxBuffered = MAX_BUFFERED;

  constructor(session: Session) {
    this.#session = session;
  }

  get maxAge(): number | null {
    return this.#maxAge;
  }

  set maxAge(value: number | null) {
    this.#maxAge = value;
    this.#configure();
  }

  get maxBuffered(): number {
    return this.#maxBuffered;
  }

  set maxBuffered(value: number) {
    this.#maxBuffered = value;
    this.#configure();
  }

  #configure(): void {
    if (this.#session.isOpen) this.#session.native.setOutgoingDatagrams(this.#maxBuffered, this.#maxAge ?? undefined);
  }

  /** Whether a script waits for a write. */
  get isAwaited(): boolean {
    return this.#waiting.size > 0;
  }

  /** https://www.w3.org/TR/webtransport/#dom-webtransportdatagramduplexstream-createwritable */
  createWritable(options: SendPlaceOptions): WebTransportDatagramsWritable {
    // 3.
    checkSendGroup(this.#session, options.sendGroup);
    // 4.
    if (this.#session.isOver) throw new DOMException('the session has ended', 'InvalidStateError');
    // 6.
    const place = new SendPlace(this.#session);
    place.take(options);
    return this.#create(place);
  }

  /** The one of the attribute `writable`, which is there also after the end. */
  legacyWritable(): WebTransportDatagramsWritable {
    const writable = this.#create(new SendPlace(this.#session));
    if (this.#session.state === 'closed') this.close();
    else if (this.#session.state === 'failed') this.error(this.#session.endError());
    return writable;
  }

  #create(place: SendPlace): WebTransportDatagramsWritable {
    this.#lastId += 1;
    const sink = new Sink(this, place, this.#lastId);
    const stream = new WebTransportDatagramsWritable(sink);
    this.#writables = this.#writables.filter((other) => other.stream.deref() !== undefined);
    this.#writables.push({ stream: new WeakRef(stream), sink: new WeakRef(sink) });
    return stream;
  }

  /** https://www.w3.org/TR/webtransport/#writedatagrams */
  write(sink: Sink, bytes: Uint8Array): Promise<void> | undefined {
    // 4. The session's own limit is looked at where it is sent.
    if (bytes.byteLength > LONGEST || this.#session.isOver) return undefined;
    if (this.#session.isOpen) return this.#hand(sink, bytes, 0) ? undefined : this.#wait(sink);
    this.#early.push({ sink, bytes: bytes.slice(), since: performance.now() });
    const count = this.#early.reduce((sum, other) => (other.sink === sink ? sum + 1 : sum), 0);
    // 9.
    return count < this.#maxBuffered ? undefined : this.#wait(sink);
  }

  #hand(sink: Sink, bytes: Uint8Array, waitedMs: number): boolean {
    const { group, sendOrder } = sink.place;
    return this.#session.native.sendDatagram(bytes, sink.id, group, sendOrder, waitedMs);
  }

  #wait(sink: Sink): Promise<void> {
    return new Promise((resolve, reject) => {
      sink.waiting = { resolve, reject };
      this.#waiting.set(sink.id, sink);
      this.#session.keep();
    });
  }

  /** All that was written to a writable has gone. */
  sent(id: number): void {
    const sink = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#session.keep();
    sink?.waiting?.resolve();
  }

  established(): void {
    this.#configure();
    const early = this.#early;
    this.#early = [];
    const now = performance.now();
    const full = new Set<number>();
    for (const { sink, bytes, since } of early) {
      if (this.#hand(sink, bytes, now - since)) full.delete(sink.id);
      else full.add(sink.id);
    }
    // Those that found room after all need not wait.
    for (const id of [...this.#waiting.keys()]) if (!full.has(id)) this.sent(id);
  }

  /** The session has ended in good order. */
  close(): void {
    for (const { waiting } of this.#end()) waiting?.resolve();
    for (const { stream, sink } of this.#writables) closeStream(stream.deref(), sink.deref(), this.#session.endError());
  }

  error(error: unknown): void {
    for (const { waiting } of this.#end()) waiting?.reject(error);
    for (const { sink } of this.#writables) sink.deref()?.controller.error(error);
  }

  #end(): Sink[] {
    const sinks = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#early = [];
    return sinks;
  }
}

/** Closes a writable. One that is locked by a pipe, whose writer nobody can have, errors instead. */
function closeStream(stream: WebTransportDatagramsWritable | undefined, sink: Sink | undefined, error: unknown): void {
  if (stream === undefined || sink === undefined) return;
  const writer = sink.writer?.deref();
  // A failure to close means that it is closing, or has errored, already.
  if (!stream.locked) stream.close().catch(() => {});
  else if (writer !== undefined && hasLock(writer)) writer.close().catch(() => {});
  else sink.controller.error(error);
}

function hasLock(writer: WritableStreamDefaultWriter): boolean {
  try {
    return writer.desiredSize !== undefined;
  } catch {
    // It was released: the getter throws.
    return false;
  }
}
