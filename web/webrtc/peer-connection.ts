// RTCPeerConnection. https://w3c.github.io/webrtc-pc/#rtcpeerconnection-interface

import { DOMException } from '../errors.js';
import { defineEventHandlers, Event, EventTarget } from '../event-target.js';
import { defineNodeMembers } from '../node-members.js';
import {
  boolean,
  callback,
  defineInterface,
  dictionary,
  requireArguments,
  USVString,
  unsignedShort,
} from '../webidl.js';
import { BundleTransport } from './bundle-transport.js';
import { generateCertificate, makeCertificate, type RTCCertificate } from './certificate.js';
import { type Configuration, convertConfiguration, copyConfiguration, refuseModification } from './configuration.js';
import type { RTCDataChannel } from './data-channel.js';
import { DataChannels } from './data-channels.js';
import { RTCDataChannelEvent, RTCPeerConnectionIceEvent } from './events.js';
import { RTCIceCandidateInit } from './ice-candidate.js';
import type { IceGatheringState } from './ice-transport.js';
import { countListeners, isListenedTo, watchListeners } from './liveness.js';
import type { NativeChanges } from './native.js';
import { Negotiation } from './negotiation.js';
import type { RTCSctpTransport } from './sctp-transport.js';
import {
  type Description,
  RTCLocalSessionDescriptionInit,
  type RTCSessionDescription,
  RTCSessionDescriptionInit,
  type SdpType,
} from './session-description.js';
import { type ConnectionState, connectionStateOf, type IceConnectionState, iceConnectionStateOf } from './states.js';

const EVENTS = [
  'negotiationneeded',
  'icecandidate',
  'signalingstatechange',
  'iceconnectionstatechange',
  'icegatheringstatechange',
  'connectionstatechange',
  'datachannel',
] as const;

const RTCOfferOptions = dictionary('RTCOfferOptions', { iceRestart: { type: boolean, default: () => false } });

const RTCDataChannelInit = dictionary('RTCDataChannelInit', {
  id: { type: unsignedShort('enforceRange') },
  maxPacketLifeTime: { type: unsignedShort('enforceRange') },
  maxRetransmits: { type: unsignedShort('enforceRange') },
  negotiated: { type: boolean, default: () => false },
  ordered: { type: boolean, default: () => true },
  protocol: { type: USVString, default: () => '' },
});

/** The longest label or protocol, in bytes of UTF-8: RFC 8832, section 5.1. */
const MAX_TEXT_BYTES = 65_535;

export class RTCPeerConnection extends EventTarget {
  #configuration: Configuration;
  #isClosed = false;
  #isRefd = true;
  #made: RTCCertificate | undefined;
  #bundle: BundleTransport | null = null;
  #iceGatheringState: IceGatheringState = 'new';
  #iceConnectionState: IceConnectionState = 'new';
  #connectionState: ConnectionState = 'new';
  readonly #channels = new DataChannels(
    () => this.sctp,
    () => this.#bundle?.updateHold(),
  );
  readonly #negotiation: Negotiation;

  static {
    defineEventHandlers(RTCPeerConnection, EVENTS, (value) => #isClosed in value);
  }

  constructor(configuration: unknown = {}) {
    super();
    this.#configuration = convertConfiguration(configuration, 'RTCPeerConnection');
    this.#negotiation = new Negotiation(this.#negotiationOwner());
    watchListeners(this, () => this.#bundle?.updateHold());
  }

  get localDescription(): RTCSessionDescription | null {
    return this.#negotiation.localDescription;
  }

  get currentLocalDescription(): RTCSessionDescription | null {
    return this.#negotiation.slots.currentLocal;
  }

  get pendingLocalDescription(): RTCSessionDescription | null {
    return this.#negotiation.slots.pendingLocal;
  }

  get remoteDescription(): RTCSessionDescription | null {
    return this.#negotiation.remoteDescription;
  }

  get currentRemoteDescription(): RTCSessionDescription | null {
    return this.#negotiation.slots.currentRemote;
  }

  get pendingRemoteDescription(): RTCSessionDescription | null {
    return this.#negotiation.slots.pendingRemote;
  }

  get signalingState(): string {
    return this.#isClosed ? 'closed' : this.#negotiation.signalingState;
  }

  get iceGatheringState(): IceGatheringState {
    return this.#iceGatheringState;
  }

  get iceConnectionState(): IceConnectionState {
    return this.#iceConnectionState;
  }

  get connectionState(): ConnectionState {
    return this.#connectionState;
  }

  get canTrickleIceCandidates(): boolean | null {
    return this.#negotiation.canTrickle;
  }

  get sctp(): RTCSctpTransport | null {
    return this.#bundle?.sctp ?? null;
  }

  static async generateCertificate(keygenAlgorithm: unknown): Promise<RTCCertificate> {
    // biome-ignore lint/complexity/noArguments: the number of arguments counts, not their values.
    requireArguments(arguments, 1, 'RTCPeerConnection.generateCertificate');
    return generateCertificate(keygenAlgorithm);
  }

  async createOffer(...given: unknown[]): Promise<Description | undefined> {
    const isLegacy = given.length > 1 || typeof given[0] === 'function';
    const context = 'RTCPeerConnection.createOffer';
    const { iceRestart } = RTCOfferOptions(given[isLegacy ? 2 : 0], `${context}: options`);
    return settle(this.#negotiation.createOffer(iceRestart), isLegacy ? given : [], context);
  }

  async createAnswer(...given: unknown[]): Promise<Description | undefined> {
    const isLegacy = given.length > 1 || typeof given[0] === 'function';
    const context = 'RTCPeerConnection.createAnswer';
    if (!isLegacy) dictionary('RTCAnswerOptions', {})(given[0], `${context}: options`);
    return settle(this.#negotiation.createAnswer(), isLegacy ? given : [], context);
  }

  async setLocalDescription(description: unknown = {}, ...callbacks: unknown[]): Promise<void> {
    const context = 'RTCPeerConnection.setLocalDescription';
    const init = RTCLocalSessionDescriptionInit(description, `${context}: description`);
    return settle(this.#negotiation.setLocalDescription(init), callbacks, context);
  }

  async setRemoteDescription(description: unknown, ...callbacks: unknown[]): Promise<void> {
    const context = 'RTCPeerConnection.setRemoteDescription';
    // biome-ignore lint/complexity/noArguments: the number of arguments counts, not their values.
    requireArguments(arguments, 1, context);
    const init = RTCSessionDescriptionInit(description, `${context}: description`);
    return settle(this.#negotiation.setRemoteDescription(init), callbacks, context);
  }

  async addIceCandidate(candidate: unknown = {}, ...callbacks: unknown[]): Promise<void> {
    const context = 'RTCPeerConnection.addIceCandidate';
    const init = RTCIceCandidateInit(candidate, `${context}: candidate`);
    return settle(this.#negotiation.addIceCandidate(init), callbacks, context);
  }

  /** Nothing is counted yet; a figure that we don't have is not invented. */
  async getStats(): Promise<never> {
    if (!(#isClosed in this)) throw new TypeError('Illegal invocation: not an RTCPeerConnection');
    throw new DOMException('RTCPeerConnection.getStats is not supported yet', 'NotSupportedError');
  }

  restartIce(): void {
    this.#negotiation.restartIce();
  }

  getConfiguration(): Configuration {
    return copyConfiguration(this.#configuration);
  }

  setConfiguration(configuration: unknown = {}): void {
    const converted = convertConfiguration(configuration, 'RTCPeerConnection.setConfiguration');
    // 2.
    if (this.#isClosed) throw closedError('setConfiguration');
    // 4.
    refuseModification(this.#configuration, converted, this.localDescription !== null);
    const { certificates } = this.#configuration;
    this.#configuration = { ...converted, certificates };
  }

  /** https://w3c.github.io/webrtc-pc/#dom-peerconnection-createdatachannel */
  createDataChannel(label: unknown, dataChannelDict: unknown = {}): RTCDataChannel {
    const context = 'RTCPeerConnection.createDataChannel';
    // biome-ignore lint/complexity/noArguments: the number of arguments counts, not their values.
    requireArguments(arguments, 1, context);
    const name = USVString(label, `${context}: label`);
    const init = RTCDataChannelInit(dataChannelDict, `${context}: dataChannelDict`);
    // 2.
    if (this.#isClosed) throw closedError('createDataChannel');
    // 5. and 13.
    if (Buffer.byteLength(name) > MAX_TEXT_BYTES) throw new TypeError(`${context}: the label is too long`);
    if (Buffer.byteLength(init.protocol) > MAX_TEXT_BYTES) throw new TypeError(`${context}: the protocol is too long`);
    // 15. and 16.
    const id = init.negotiated ? (init.id ?? null) : null;
    if (init.negotiated && id === null) throw new TypeError(`${context}: a negotiated channel needs an id`);
    // 18.
    const { maxPacketLifeTime = null, maxRetransmits = null } = init;
    if (maxPacketLifeTime !== null && maxRetransmits !== null) {
      throw new TypeError(`${context}: maxPacketLifeTime and maxRetransmits are both given`);
    }
    // 20.
    if (id === MAX_TEXT_BYTES) throw new TypeError(`${context}: 65535 is no id`);
    // 21. to 26.
    const isFirst = !this.#channels.any;
    const { ordered, protocol, negotiated } = init;
    const options = { label: name, ordered, protocol, negotiated, maxPacketLifeTime, maxRetransmits };
    const channel = this.#channels.create(options, id);
    if (isFirst) this.#negotiation.changed();
    return channel;
  }

  /** https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-close */
  close(): void {
    // 1. and 2.
    if (this.#isClosed) return;
    this.#isClosed = true;
    // 6. to 9.
    this.#channels.abandon();
    this.#bundle?.close();
    // 10. and 11. Without events.
    this.#iceConnectionState = 'closed';
    this.#connectionState = 'closed';
  }

  /** Keeps the process alive while the connection is open (the default). */
  ref(): void {
    this.#isRefd = true;
    if (!this.#isClosed) this.#bundle?.ref();
  }

  /** Lets the process end although the connection is open. */
  unref(): void {
    this.#isRefd = false;
    if (!this.#isClosed) this.#bundle?.unref();
  }

  #negotiationOwner(): ConstructorParameters<typeof Negotiation>[0] {
    const connection = this;
    return {
      get isClosed() {
        return connection.#isClosed;
      },
      get wantsData() {
        return connection.#channels.any;
      },
      get certificates() {
        return connection.#certificates();
      },
      applied: (type, changes) => this.#applied(type, changes),
      remoteCandidate: (fragments, candidate) => this.#bundle?.addRemoteCandidate(fragments, candidate),
      signalingStateChanged: () => this.#fire('signalingstatechange'),
      negotiationNeeded: () => this.#fire('negotiationneeded'),
    };
  }

  #transportOwner(): ConstructorParameters<typeof BundleTransport>[0] {
    const connection = this;
    return {
      get isClosed() {
        return connection.#isClosed;
      },
      get isLive() {
        return connection.#channels.anyLive || isListenedTo(connection, EVENTS);
      },
      localCandidate: (candidate, fragment) => {
        this.#negotiation.addLocalCandidate(fragment, candidate.candidate);
        this.dispatchEvent(new RTCPeerConnectionIceEvent('icecandidate', { candidate }));
      },
      gatheringStateChanged: () => this.#updateIceGatheringState(),
      iceStateChanged: () => {
        const hasChanged = this.#updateIceConnectionState();
        const connectionHasChanged = this.#updateConnectionState();
        if (hasChanged) this.#fire('iceconnectionstatechange');
        if (connectionHasChanged) this.#fire('connectionstatechange');
      },
      dtlsStateChanged: () => {
        if (this.#updateConnectionState()) this.#fire('connectionstatechange');
      },
      sctpConnected: (maxChannels) => this.#channels.limit(maxChannels),
      incomingChannel: (peer, id) => {
        const channel = this.#channels.incoming(peer, id);
        if (channel !== null) this.dispatchEvent(new RTCDataChannelEvent('datachannel', { channel }));
      },
      lost: () => this.#channels.fail('The connection was lost'),
    };
  }

  /** The certificates given, or one made when it is first needed. */
  #certificates(): readonly RTCCertificate[] {
    const { certificates } = this.#configuration;
    if (certificates.length > 0) return certificates;
    this.#made ??= makeCertificate();
    return [this.#made];
  }

  /** The transports that a description asks for. */
  #applied(type: SdpType, changes: NativeChanges): void {
    const isSettled = type === 'answer' || type === 'rollback';
    if (changes.hasData && this.#bundle === null) this.#openBundle();
    else if (!changes.hasData && isSettled && this.#bundle !== null) this.#dropBundle(type);
    if (this.#bundle === null) return;
    if (changes.gather !== undefined) this.#bundle.gather(changes.gather);
    if (changes.connect !== undefined) {
      const isFirst = this.#bundle.connect(changes.connect);
      if (isFirst) this.#channels.connect(this.#bundle.native, changes.connect.isDtlsClient ? 'client' : 'server');
    }
  }

  #openBundle(): void {
    const [certificate = makeCertificate()] = this.#certificates();
    this.#bundle = new BundleTransport(this.#transportOwner(), certificate, this.#configuration.iceTransportPolicy);
    if (!this.#isRefd) this.#bundle.unref();
  }

  /** A rollback takes the transport back; an answer without it ends its channels too. */
  #dropBundle(type: SdpType): void {
    this.#bundle?.close();
    this.#bundle = null;
    if (type === 'answer') this.#channels.fail('The peer refused the data section');
    this.#updateIceGatheringState();
    if (this.#updateIceConnectionState()) this.#fire('iceconnectionstatechange');
    if (this.#updateConnectionState()) this.#fire('connectionstatechange');
  }

  /** https://w3c.github.io/webrtc-pc/#dfn-update-the-ice-gathering-state */
  #updateIceGatheringState(): void {
    const state = this.#bundle?.ice.gatheringState ?? 'new';
    if (this.#isClosed || state === this.#iceGatheringState) return;
    this.#iceGatheringState = state;
    this.#fire('icegatheringstatechange');
    if (state === 'complete') {
      this.dispatchEvent(new RTCPeerConnectionIceEvent('icecandidate', { candidate: null }));
    }
  }

  #updateIceConnectionState(): boolean {
    const state = iceConnectionStateOf(this.#bundle?.ice.state);
    if (this.#isClosed || state === this.#iceConnectionState) return false;
    this.#iceConnectionState = state;
    return true;
  }

  #updateConnectionState(): boolean {
    const state = connectionStateOf(this.#bundle?.ice.state, this.#bundle?.dtls.state);
    if (this.#isClosed || state === this.#connectionState) return false;
    this.#connectionState = state;
    return true;
  }

  #fire(type: (typeof EVENTS)[number]): void {
    if (!this.#isClosed) this.dispatchEvent(new Event(type));
  }
}

function closedError(operation: string): DOMException {
  return new DOMException(`RTCPeerConnection.${operation}: the connection is closed`, 'InvalidStateError');
}

/** Settles an operation by the legacy callbacks, where they were given, or by its promise. */
function settle<Value>(operation: Promise<Value>, callbacks: unknown[], context: string): Promise<Value> {
  if (callbacks.length === 0) return operation;
  operation.catch(() => {});
  const success = callback(callbacks[0], `${context}: successCallback`) as unknown as (value: Value) => void;
  const failure = callback(callbacks[1], `${context}: failureCallback`) as unknown as (reason: unknown) => void;
  operation.then(
    (value) => report(() => success(value)),
    (reason) => report(() => failure(reason)),
  );
  return Promise.resolve(undefined as Value);
}

/** What a callback throws is reported as an uncaught exception, not as a rejection. */
function report(run: () => void): void {
  try {
    run();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

defineInterface(RTCPeerConnection, {
  constructorLength: 0,
  lengths: {
    createOffer: 0,
    createAnswer: 0,
    setLocalDescription: 0,
    setRemoteDescription: 1,
    addIceCandidate: 0,
    setConfiguration: 0,
    createDataChannel: 1,
  },
});
defineNodeMembers(RTCPeerConnection, {
  shown: ({ signalingState, connectionState, iceConnectionState, iceGatheringState }) => ({
    signalingState,
    connectionState,
    iceConnectionState,
    iceGatheringState,
  }),
  ended: () => Promise.resolve(),
});
countListeners(RTCPeerConnection);
