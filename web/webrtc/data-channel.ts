// RTCDataChannel. https://w3c.github.io/webrtc-pc/#rtcdatachannel

import { DOMException } from '../errors.js';
import { defineEventHandlers, Event, EventTarget } from '../event-target.js';
import { hub, type Registration } from '../hub.js';
import { MessageEvent } from '../message-event.js';
import type { Payload } from '../payload.js';
import {
  BufferSource,
  defineInterface,
  illegalConstructor,
  isBufferSource,
  isObject,
  requireArguments,
  USVString,
  unsignedLong,
} from '../webidl.js';
import { countListeners, isListenedTo, watchListeners } from './liveness.js';
import { binding, type NativeDataTransport, type NativePeerTransport } from './native.js';
import { RTCError, RTCErrorEvent } from './rtc-error.js';
import { SendQueue } from './send-queue.js';
import { KEY, queueTask } from './task.js';

const { Blob: RealmBlob } = globalThis;

const EVENTS = ['open', 'bufferedamountlow', 'error', 'closing', 'close', 'message'] as const;
/** Bytes that may wait in a channel; browsers take as much. */
const MAX_BUFFERED = 16 * 1024 * 1024;

type ReadyState = 'connecting' | 'open' | 'closing' | 'closed';
type BinaryType = 'blob' | 'arraybuffer';

/** How a channel was asked for. */
export interface ChannelOptions {
  readonly label: string;
  readonly protocol: string;
  readonly ordered: boolean;
  readonly maxPacketLifeTime: number | null;
  readonly maxRetransmits: number | null;
  readonly negotiated: boolean;
}

/** What a channel asks of the connection that it belongs to; it also keeps that connection from being collected. */
export interface ChannelOwner {
  /** The largest message that may be sent now, in bytes. */
  readonly maxMessageSize: number;
  /** A script may (or can no longer) hear from the channel. */
  liveChanged(channel: RTCDataChannel, isLive: boolean): void;
  /** The channel has closed: its id is free again. */
  closed(channel: RTCDataChannel): void;
}

/** What the connection does to a channel. */
export let channelSteps: {
  /** Gives the channel its id and its transport. */
  connect(channel: RTCDataChannel, peer: NativePeerTransport, id: number, origin: number): void;
  /** The peer's channel is open as soon as it is seen; its event comes later. */
  open(channel: RTCDataChannel): void;
  /** Closes the channel for a reason that the network does not know. */
  fail(channel: RTCDataChannel, error: RTCError | null): void;
  /** The connection was closed: no event any more. */
  abandon(channel: RTCDataChannel): void;
};

export let isRTCDataChannel: (value: unknown) => value is RTCDataChannel;

export class RTCDataChannel extends EventTarget {
  readonly #owner: ChannelOwner;
  readonly #options: ChannelOptions;
  #id: number | null;
  #readyState: ReadyState = 'connecting';
  #bufferedAmount = 0;
  /** What the owner was told last. */
  #isLive = false;
  #bufferedAmountLowThreshold = 0;
  #binaryType: BinaryType = 'arraybuffer';
  #registration: Registration | undefined;
  #transport: NativeDataTransport | undefined;
  #queue: SendQueue | undefined;

  constructor(key: symbol, owner: ChannelOwner, options: ChannelOptions, id: number | null) {
    if (key !== KEY) throw illegalConstructor();
    super();
    this.#owner = owner;
    this.#options = options;
    this.#id = id;
    watchListeners(this, () => this.#updateLive());
  }

  get label(): string {
    return this.#options.label;
  }

  get ordered(): boolean {
    return this.#options.ordered;
  }

  get maxPacketLifeTime(): number | null {
    return this.#options.maxPacketLifeTime;
  }

  get maxRetransmits(): number | null {
    return this.#options.maxRetransmits;
  }

  get protocol(): string {
    return this.#options.protocol;
  }

  get negotiated(): boolean {
    return this.#options.negotiated;
  }

  get id(): number | null {
    return this.#id;
  }

  get readyState(): ReadyState {
    return this.#readyState;
  }

  get bufferedAmount(): number {
    return this.#bufferedAmount;
  }

  get bufferedAmountLowThreshold(): number {
    return this.#bufferedAmountLowThreshold;
  }

  set bufferedAmountLowThreshold(value: unknown) {
    this.#bufferedAmountLowThreshold = unsignedLong('enforceRange')(value, 'RTCDataChannel.bufferedAmountLowThreshold');
  }

  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(value: unknown) {
    // A value that the enumeration lacks is ignored, as Web IDL asks of attributes.
    const text = String(value);
    this.#binaryType = text === 'blob' || text === 'arraybuffer' ? text : this.#binaryType;
  }

  send(data: unknown): void {
    // biome-ignore lint/complexity/noArguments: the number of arguments counts, not their values.
    requireArguments(arguments, 1, 'RTCDataChannel.send');
    if (data instanceof RealmBlob) {
      this.#admit(data.size)?.blob(data);
    } else if (isBufferSource(data)) {
      const bytes = BufferSource(data, 'RTCDataChannel.send: data');
      this.#admit(bytes.length)?.binary(bytes);
    } else {
      const text = USVString(data, 'RTCDataChannel.send: data');
      const byteLength = Buffer.byteLength(text);
      this.#admit(byteLength)?.text(text, byteLength);
    }
  }

  close(): void {
    // 2. Closing or closed already.
    if (this.#readyState === 'closing' || this.#readyState === 'closed') return;
    // 3. No event: the script knows.
    this.#readyState = 'closing';
    this.#updateLive();
    // 4. The closing procedure; a channel that never had a transport is closed at the end of it.
    if (this.#queue !== undefined) this.#queue.close();
    else queueTask(() => this.#announceClosed(null));
  }

  /** Steps 2 to 5 of `send()`: whether the bytes may be queued, and where. */
  #admit(byteLength: number): SendQueue | undefined {
    // 2.
    if (this.#readyState !== 'open' || this.#queue === undefined) {
      throw new DOMException(`RTCDataChannel.send: the channel is ${this.#readyState}`, 'InvalidStateError');
    }
    // 4.
    const { maxMessageSize } = this.#owner;
    if (byteLength > maxMessageSize) {
      throw new TypeError(`RTCDataChannel.send: the message has ${byteLength} bytes, the limit is ${maxMessageSize}`);
    }
    // 5.
    if (this.#bufferedAmount + byteLength > MAX_BUFFERED) {
      throw new DOMException('RTCDataChannel.send: too much is waiting to be sent', 'OperationError');
    }
    // 6. What waits keeps the channel from being collected.
    const wasEmpty = this.#bufferedAmount === 0;
    this.#bufferedAmount += byteLength;
    if (wasEmpty) this.#updateLive();
    return this.#queue;
  }

  /** https://w3c.github.io/webrtc-pc/#garbage-collection-0 */
  #updateLive(): void {
    const isLive =
      this.#readyState === 'closing'
        ? isListenedTo(this, ['error', 'close'])
        : this.#readyState !== 'closed' &&
          isListenedTo(
            this,
            this.#readyState === 'connecting' ? EVENTS : ['bufferedamountlow', 'error', 'closing', 'close', 'message'],
          );
    const isSending = this.#bufferedAmount > 0 && this.#readyState !== 'closed';
    if (this.#isLive === (isLive || isSending)) return;
    this.#isLive = !this.#isLive;
    this.#owner.liveChanged(this, this.#isLive);
  }

  /** Bound to no channel, so that the hub's hold on it is the registration's alone. */
  static #deliver(channel: RTCDataChannel, kind: number, a: number, b: number, payload: Payload): void {
    channel.#dispatch(kind, a, b, payload);
  }

  #dispatch(kind: number, a: number, b: number, payload: Payload): void {
    const kinds = binding.DataTransportEvent;
    switch (kind) {
      case kinds.Text:
        if (this.#readyState === 'open') this.dispatchEvent(new MessageEvent(payload.text(), ''));
        break;
      case kinds.Binary:
        if (this.#readyState === 'open') {
          const data = this.#binaryType === 'blob' ? new RealmBlob([payload.bytes()]) : payload.arrayBuffer();
          this.dispatchEvent(new MessageEvent(data, ''));
        }
        break;
      case kinds.Sent:
        this.#sent(a);
        break;
      case kinds.Open:
        this.#announceOpen();
        break;
      case kinds.Closing:
        this.#announceClosing();
        break;
      case kinds.Closed:
        this.#announceClosing();
        this.#announceClosed(closeError(a, b, payload.text()));
        break;
    }
  }

  #sent(byteLength: number): void {
    const before = this.#bufferedAmount;
    this.#bufferedAmount = Math.max(0, before - byteLength);
    const threshold = this.#bufferedAmountLowThreshold;
    if (before > threshold && this.#bufferedAmount <= threshold && this.#readyState === 'open') {
      this.dispatchEvent(new Event('bufferedamountlow'));
    }
    if (this.#bufferedAmount === 0) this.#updateLive();
  }

  /** https://w3c.github.io/webrtc-pc/#announce-datachannel-open */
  #announceOpen(): void {
    if (this.#readyState === 'closing' || this.#readyState === 'closed') return;
    this.#readyState = 'open';
    this.#updateLive();
    this.dispatchEvent(new Event('open'));
  }

  /** The peer closes the channel. */
  #announceClosing(): void {
    if (this.#readyState === 'closing' || this.#readyState === 'closed') return;
    const wasOpen = this.#readyState === 'open';
    this.#readyState = 'closing';
    this.#updateLive();
    if (wasOpen) this.dispatchEvent(new Event('closing'));
  }

  /** https://w3c.github.io/webrtc-pc/#announce-datachannel-closed */
  #announceClosed(error: RTCError | null): void {
    if (this.#readyState === 'closed') return;
    this.#end();
    // 6.
    if (error !== null) this.dispatchEvent(new RTCErrorEvent('error', { error }));
    // 7.
    this.dispatchEvent(new Event('close'));
  }

  #end(): void {
    this.#readyState = 'closed';
    this.#registration?.close();
    this.#updateLive();
    this.#owner.closed(this);
  }

  static {
    defineEventHandlers(RTCDataChannel, EVENTS, (value) => #readyState in value);
    channelSteps = {
      connect(channel, peer, id, origin) {
        channel.#id = id;
        if (channel.#readyState === 'closing' || channel.#readyState === 'closed') return;
        const registration = hub.register(channel, RTCDataChannel.#deliver);
        // The connection decides how long both live and whether the process does.
        registration.letGo();
        registration.unref();
        const { label, protocol, ordered, maxPacketLifeTime, maxRetransmits } = channel.#options;
        channel.#registration = registration;
        channel.#transport = new binding.DataTransport(hub.native, registration.id, peer, {
          streamId: id,
          origin,
          label,
          protocol,
          ordered,
          ...(maxPacketLifeTime === null ? {} : { maxPacketLifeTime }),
          ...(maxRetransmits === null ? {} : { maxRetransmits }),
        });
        channel.#queue = new SendQueue(channel.#transport, () => {
          channel.#transport?.close();
          channel.#announceClosed(
            new RTCError({ errorDetail: 'data-channel-failure' }, 'A Blob that was to be sent cannot be read'),
          );
        });
        channel.#updateLive();
      },
      open(channel) {
        if (channel.#readyState === 'connecting') channel.#readyState = 'open';
      },
      fail(channel, error) {
        channel.#announceClosed(error);
      },
      abandon(channel) {
        if (channel.#readyState !== 'closed') channel.#end();
      },
    };
    isRTCDataChannel = (value): value is RTCDataChannel => isObject(value) && #readyState in value;
  }
}

/** Why a channel closed, where it is not by anyone's will. */
function closeError(reason: number, cause: number, message: string): RTCError | null {
  const sctpCauseCode = cause === 0 ? {} : { sctpCauseCode: cause };
  const reasons = binding.DataChannelClose;
  switch (reason) {
    case reasons.TransportClosed:
      return new RTCError({ errorDetail: 'sctp-failure', ...sctpCauseCode }, message || 'The transport was closed');
    case reasons.Failed:
      return new RTCError({ errorDetail: 'data-channel-failure', ...sctpCauseCode }, message);
    default:
      return null;
  }
}

defineInterface(RTCDataChannel, { constructorLength: 0 });
countListeners(RTCDataChannel);
