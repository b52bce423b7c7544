// The data channels of one connection: their ids, and who of them is alive.
// https://w3c.github.io/webrtc-pc/#peer-to-peer-data-api

import { DOMException } from '../errors.js';
import { type ChannelOptions, type ChannelOwner, channelSteps, RTCDataChannel } from './data-channel.js';
import { binding, type NativePeerTransport } from './native.js';
import { RTCError } from './rtc-error.js';
import { MAX_MESSAGE_SIZE, type RTCSctpTransport } from './sctp-transport.js';
import { KEY } from './task.js';

/** 65535 is not an id: RFC 8832, section 6. */
const MAX_ID = 65_534;

export class DataChannels implements ChannelOwner {
  /** Channels without a transport yet, in the order of their making. */
  readonly #waiting = new Set<RTCDataChannel>();
  /** Channels that a script may still hear from. */
  readonly #live = new Set<RTCDataChannel>();
  /** Negotiated channels that wait, by id. */
  readonly #reserved = new Map<number, RTCDataChannel>();
  /** Channels with a transport, by id. */
  readonly #all = new Map<number, WeakRef<RTCDataChannel>>();
  readonly #sctp: () => RTCSctpTransport | null;
  readonly #liveChanged: () => void;
  #peer: NativePeerTransport | undefined;
  /** The ids that we assign: even as the DTLS client, odd as the server. RFC 8832, section 6. */
  #nextId = 0;
  readonly #freeIds: number[] = [];

  constructor(sctp: () => RTCSctpTransport | null, liveChanged: () => void) {
    this.#sctp = sctp;
    this.#liveChanged = liveChanged;
  }

  /** Whether there is a channel, so that a section for data is wanted. */
  get any(): boolean {
    return this.#waiting.size > 0 || this.#all.size > 0;
  }

  get anyLive(): boolean {
    return this.#live.size > 0;
  }

  get maxMessageSize(): number {
    return this.#sctp()?.maxMessageSize ?? MAX_MESSAGE_SIZE;
  }

  liveChanged(channel: RTCDataChannel, isLive: boolean): void {
    if (isLive) this.#live.add(channel);
    else this.#live.delete(channel);
    this.#liveChanged();
  }

  closed(channel: RTCDataChannel): void {
    this.#waiting.delete(channel);
    const { id } = channel;
    if (id === null) return;
    if (this.#reserved.get(id) === channel) this.#reserved.delete(id);
    if (this.#deref(id) !== channel) return;
    this.#all.delete(id);
    if (id % 2 === this.#nextId % 2) this.#freeIds.push(id);
  }

  /** Steps 15 to 23 of `createDataChannel`. */
  create(options: ChannelOptions, givenId: number | null): RTCDataChannel {
    const refuse = (message: string): never => {
      throw new DOMException(`createDataChannel: ${message}`, 'OperationError');
    };
    const isConnected = this.#peer !== undefined;
    const id = givenId ?? (isConnected ? this.#generateId() : null);
    if (isConnected && id === null) refuse('no id is left');
    if (id !== null && this.#isUsed(id)) refuse(`the id ${id} is in use`);
    const maxChannels = this.#sctp()?.maxChannels ?? null;
    if (id !== null && maxChannels !== null && id >= maxChannels)
      refuse(`the id ${id} is too high for the association`);
    const channel = new RTCDataChannel(KEY, this, options, id);
    if (id !== null && this.#peer !== undefined) {
      this.#join(channel, this.#peer, id);
    } else {
      this.#waiting.add(channel);
      if (id !== null) this.#reserved.set(id, channel);
    }
    return channel;
  }

  /** The DTLS role is known: channels get their ids and transports. */
  connect(peer: NativePeerTransport, role: 'client' | 'server'): void {
    this.#peer = peer;
    this.#nextId = role === 'client' ? 0 : 1;
    // Negotiated ids first: the others go around them.
    for (const [id, channel] of this.#reserved) {
      this.#waiting.delete(channel);
      this.#join(channel, peer, id);
    }
    this.#reserved.clear();
    for (const channel of this.#waiting) {
      const id = this.#generateId();
      if (id === null)
        channelSteps.fail(channel, new RTCError({ errorDetail: 'data-channel-failure' }, 'No id is left'));
      else this.#join(channel, peer, id);
    }
    this.#waiting.clear();
  }

  /** A channel that the peer opened. */
  incoming(peer: NativePeerTransport, id: number): RTCDataChannel | null {
    const opened = peer.incomingChannel(id);
    if (opened === null) return null;
    const options: ChannelOptions = {
      label: opened.label,
      protocol: opened.protocol,
      ordered: opened.ordered,
      maxPacketLifeTime: opened.maxPacketLifeTime ?? null,
      maxRetransmits: opened.maxRetransmits ?? null,
      negotiated: false,
    };
    const channel = new RTCDataChannel(KEY, this, options, id);
    this.#all.set(id, new WeakRef(channel));
    channelSteps.connect(channel, peer, id, binding.DataChannelOrigin.Incoming);
    channelSteps.open(channel);
    return channel;
  }

  /** Channels whose ids the association cannot carry are closed. */
  limit(maxChannels: number): void {
    for (const channel of this.#channels()) {
      if (channel.id !== null && channel.id >= maxChannels) {
        channelSteps.fail(channel, new RTCError({ errorDetail: 'data-channel-failure' }, 'The id is too high'));
      }
    }
  }

  /** The peer refused the data section, or the transport is gone without a word to the channels. */
  fail(message: string): void {
    this.#peer = undefined;
    for (const channel of this.#channels()) {
      channelSteps.fail(channel, new RTCError({ errorDetail: 'data-channel-failure' }, message));
    }
  }

  /** The connection was closed. */
  abandon(): void {
    for (const channel of this.#channels()) channelSteps.abandon(channel);
  }

  #join(channel: RTCDataChannel, peer: NativePeerTransport, id: number): void {
    this.#all.set(id, new WeakRef(channel));
    const { Negotiated, Announced } = binding.DataChannelOrigin;
    channelSteps.connect(channel, peer, id, channel.negotiated ? Negotiated : Announced);
  }

  #channels(): RTCDataChannel[] {
    const connected = [...this.#all.values()].map((weak) => weak.deref());
    return [...connected, ...this.#waiting].filter((channel) => channel !== undefined);
  }

  #deref(id: number): RTCDataChannel | undefined {
    return this.#all.get(id)?.deref();
  }

  #isUsed(id: number): boolean {
    return this.#deref(id) !== undefined || this.#reserved.has(id);
  }

  /** An id that was never used, or else the one that has been free the longest: the peer may not have let go of it. */
  #generateId(): number | null {
    const limit = this.#sctp()?.maxChannels ?? MAX_ID + 1;
    for (; this.#nextId < limit; this.#nextId += 2) {
      if (this.#isUsed(this.#nextId)) continue;
      const id = this.#nextId;
      this.#nextId += 2;
      return id;
    }
    for (let id = this.#freeIds.shift(); id !== undefined; id = this.#freeIds.shift()) {
      if (!this.#isUsed(id)) return id;
    }
    return null;
  }
}
