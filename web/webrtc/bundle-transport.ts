// The transport of a BUNDLE group: the native PeerTransport together with the ICE, DTLS and SCTP transports that scripts
// see of it. https://w3c.github.io/webrtc-pc/#rtcdtlstransport-interface and the sections after it

import { hub, type Registration } from '../hub.js';
import type { Payload } from '../payload.js';
import { type Keys, keysOf, type RTCCertificate } from './certificate.js';
import { DTLS_TRANSPORT_EVENTS, dtlsSteps, RTCDtlsTransport } from './dtls-transport.js';
import { RTCIceCandidate } from './ice-candidate.js';
import { ICE_TRANSPORT_EVENTS, iceSteps, RTCIceTransport } from './ice-transport.js';
import { isListenedTo, watchListeners } from './liveness.js';
import { binding, type NativeConnect, type NativeGather, type NativePeerTransport } from './native.js';
import { RTCError } from './rtc-error.js';
import { MAX_MESSAGE_SIZE, RTCSctpTransport, SCTP_TRANSPORT_EVENTS, sctpSteps } from './sctp-transport.js';
import { KEY, queueTask } from './task.js';

/** The native core numbers the states in this order. */
const GATHERING_STATES = ['new', 'gathering', 'complete'] as const;
const ICE_STATES = ['new', 'checking', 'connected', 'completed', 'disconnected', 'failed', 'closed'] as const;
const DTLS_STATES = ['new', 'connecting', 'connected', 'closed', 'failed'] as const;
const SCTP_STATES = ['connecting', 'connected', 'closed'] as const;

/** What the connection does when something happens on its transport. */
export interface TransportOwner {
  readonly isClosed: boolean;
  /** Whether a script may hear from the connection itself or one of its channels. */
  readonly isLive: boolean;
  localCandidate(candidate: RTCIceCandidate, usernameFragment: string): void;
  gatheringStateChanged(): void;
  iceStateChanged(): void;
  dtlsStateChanged(): void;
  sctpConnected(maxChannels: number): void;
  incomingChannel(peer: NativePeerTransport, id: number): void;
  /** The native half is gone although nobody closed it. */
  lost(): void;
}

export class BundleTransport {
  readonly ice = new RTCIceTransport(KEY);
  readonly dtls = new RTCDtlsTransport(KEY, this.ice);
  readonly sctp = new RTCSctpTransport(KEY, this.dtls);
  readonly native: NativePeerTransport;
  readonly #owner: TransportOwner;
  readonly #registration: Registration;
  /** What was gathered for, by generation. Silent is one that a rollback brought back: its candidates are known. */
  readonly #generations: (NativeGather & { readonly isSilent: boolean })[] = [];
  #remoteFragment: string | undefined;
  #hasStarted = false;
  /** A state that waits for the pair that comes with it. */
  #stateBehindPair: (typeof ICE_STATES)[number] | undefined;
  #isClosed = false;

  constructor(owner: TransportOwner, certificate: RTCCertificate, policy: 'all' | 'relay') {
    this.#owner = owner;
    this.#registration = hub.register(this, BundleTransport.#deliver);
    const keys: Keys = keysOf(certificate);
    try {
      this.native = new binding.PeerTransport(hub.native, this.#registration.id, {
        ...keys,
        maxMessageSize: MAX_MESSAGE_SIZE,
        relayOnly: policy === 'relay',
      });
    } catch (error) {
      this.#registration.close();
      throw error;
    }
    for (const target of [this.ice, this.dtls, this.sctp]) watchListeners(target, () => this.updateHold());
    this.updateHold();
  }

  ref(): void {
    this.#registration.ref();
  }

  unref(): void {
    this.#registration.unref();
  }

  /** Holds the connection while it can be heard, and lets it be collected otherwise. */
  updateHold(): void {
    const isLive =
      this.#owner.isClosed ||
      this.#owner.isLive ||
      isListenedTo(this.ice, ICE_TRANSPORT_EVENTS) ||
      isListenedTo(this.dtls, DTLS_TRANSPORT_EVENTS) ||
      isListenedTo(this.sctp, SCTP_TRANSPORT_EVENTS);
    if (isLive) this.#registration.hold();
    else this.#registration.letGo();
  }

  /** Gathers candidates for a local description, unless that was done for its credentials. */
  gather(local: NativeGather): void {
    const { usernameFragment, password } = local.ice;
    if (this.#generations.at(-1)?.ice.usernameFragment === usernameFragment) return;
    const isSilent = this.#generations.some((other) => other.ice.usernameFragment === usernameFragment);
    this.#generations.push({ ...local, isSilent });
    iceSteps.setLocal(this.ice, local.ice);
    this.native.gather(usernameFragment, password);
  }

  /** Connects to the peer of an answer, or goes on with what the answer changes; says whether this was the first. */
  connect(remote: NativeConnect): boolean {
    const { usernameFragment, password } = remote.ice;
    const role = remote.isControlling ? 'controlling' : 'controlled';
    if (this.#remoteFragment !== usernameFragment) {
      this.#remoteFragment = usernameFragment;
      iceSteps.setRemote(this.ice, remote.ice, role);
      const { Controlling, Controlled } = binding.IceRole;
      this.native.setRemoteParameters(usernameFragment, password, remote.isControlling ? Controlling : Controlled);
    }
    for (const candidate of remote.candidates) this.addRemoteCandidate([usernameFragment], candidate);
    if (remote.endOfCandidates) this.native.endOfRemoteCandidates();
    sctpSteps.updateMaxMessageSize(this.sctp, remote.remoteMaxMessageSize);
    if (this.#hasStarted) return false;
    this.#hasStarted = true;
    const { Client, Server } = binding.DtlsRole;
    this.native.startDtls(remote.isDtlsClient ? Client : Server, remote.fingerprints);
    this.native.startSctp({
      localPort: remote.localSctpPort,
      remotePort: remote.remoteSctpPort,
      remoteMaxMessageSize: remote.remoteMaxMessageSize,
    });
    return true;
  }

  /** Hands on a candidate (empty: no more come) of these generations, if the transport is in one of them. */
  addRemoteCandidate(usernameFragments: readonly string[], text: string): void {
    const usernameFragment = this.#remoteFragment;
    if (usernameFragment === undefined || !usernameFragments.includes(usernameFragment)) return;
    if (text === '') {
      this.native.endOfRemoteCandidates();
      return;
    }
    const local = this.#generations.at(-1);
    const place = { sdpMid: local?.mid ?? '', sdpMLineIndex: local?.index ?? 0 };
    const candidate = new RTCIceCandidate({ candidate: text, ...place, usernameFragment });
    if (candidate.component !== 'rtp') return;
    try {
      this.native.addRemoteCandidate(text);
    } catch {
      // Well-formed, as the signalling has seen, but of no use to this transport: the others may do.
      return;
    }
    iceSteps.addRemoteCandidate(this.ice, candidate);
  }

  /** Ends at once and without events; what the native half still says is not heard. */
  close(): void {
    iceSteps.setState(this.ice, 'closed');
    dtlsSteps.setState(this.dtls, 'closed');
    if (sctpSteps.setState(this.sctp, 'closed')) queueTask(() => sctpSteps.fireStateChange(this.sctp));
    this.#registration.hold();
    this.#isClosed = true;
    this.native.close();
  }

  /** Bound to no transport, so that the hub's hold on it is the registration's alone. */
  static #deliver(transport: BundleTransport, kind: number, a: number, b: number, payload: Payload): void {
    const { Closed } = binding.PeerTransportEvent;
    if (kind === Closed) transport.#registration.close();
    if (!transport.#isClosed) transport.#dispatch(kind, a, b, payload);
  }

  #dispatch(kind: number, a: number, b: number, payload: Payload): void {
    const kinds = binding.PeerTransportEvent;
    switch (kind) {
      case kinds.GatheringState:
        this.#gatheringState(GATHERING_STATES[a] ?? 'new', b);
        break;
      case kinds.LocalCandidate:
        this.#localCandidate(payload.text(), b);
        break;
      case kinds.IceState:
        this.#iceState(ICE_STATES[a] ?? 'failed');
        break;
      case kinds.SelectedPair:
        this.#selectedPair(payload.text());
        break;
      case kinds.DtlsState:
        this.#dtlsState(DTLS_STATES[a] ?? 'failed', b, payload);
        break;
      case kinds.SctpState:
        this.#sctpState(SCTP_STATES[a] ?? 'closed', b);
        break;
      case kinds.DataChannel:
        this.#owner.incomingChannel(this.native, a);
        break;
      case kinds.Closed:
        this.#isClosed = true;
        this.#lost();
        break;
    }
  }

  /** https://w3c.github.io/webrtc-pc/#rtcicetransport: gathering begins and ends. */
  #gatheringState(state: 'new' | 'gathering' | 'complete', generation: number): void {
    const enter = (): void => {
      if (this.#generations[generation]?.isSilent !== false) return;
      if (!iceSteps.setGatheringState(this.ice, state)) return;
      iceSteps.fire(this.ice, 'gatheringstatechange');
      this.#owner.gatheringStateChanged();
    };
    if (state !== 'complete') {
      enter();
      return;
    }
    // The end of candidates is a candidate in a task of its own; the states follow in the next.
    this.#localCandidate('', generation);
    queueTask(() => {
      const isLatest = !this.#generations.some((other, number) => number > generation && !other.isSilent);
      if (!this.#isClosed && isLatest) enter();
    });
  }

  #localCandidate(text: string, generation: number): void {
    const local = this.#generations[generation];
    if (local === undefined) return;
    const { usernameFragment } = local.ice;
    const candidate = new RTCIceCandidate({
      candidate: text,
      sdpMid: local.mid,
      sdpMLineIndex: local.index,
      usernameFragment,
    });
    if (text !== '') iceSteps.addLocalCandidate(this.ice, candidate);
    if (!local.isSilent) this.#owner.localCandidate(candidate, usernameFragment);
  }

  /** A connected transport has its pair: one task changes both. https://w3c.github.io/webrtc-pc/#rtcicetransport */
  #iceState(state: (typeof ICE_STATES)[number]): void {
    const waits = state === 'connected' && this.ice.getSelectedCandidatePair() === null;
    this.#stateBehindPair = waits ? state : undefined;
    if (waits || !iceSteps.setState(this.ice, state)) return;
    iceSteps.fire(this.ice, 'statechange');
    this.#owner.iceStateChanged();
  }

  #selectedPair(pair: string): void {
    const [local = '', remote = ''] = pair.split('\n');
    iceSteps.select(this.ice, local, remote);
    const state = this.#stateBehindPair;
    this.#stateBehindPair = undefined;
    const hasChanged = state !== undefined && iceSteps.setState(this.ice, state);
    iceSteps.fire(this.ice, 'selectedcandidatepairchange');
    if (!hasChanged) return;
    iceSteps.fire(this.ice, 'statechange');
    this.#owner.iceStateChanged();
  }

  #dtlsState(state: (typeof DTLS_STATES)[number], failure: number, payload: Payload): void {
    const certificate = state === 'connected' && payload.length > 0 ? payload.arrayBuffer() : undefined;
    const text = state === 'failed' ? payload.text() : '';
    if (!dtlsSteps.setState(this.dtls, state)) return;
    if (certificate !== undefined) dtlsSteps.setRemoteCertificate(this.dtls, certificate);
    if (state === 'failed') {
      const isFingerprint = failure === binding.TransportFailure.Fingerprint;
      const errorDetail = isFingerprint ? 'fingerprint-failure' : 'dtls-failure';
      dtlsSteps.fireError(this.dtls, new RTCError({ errorDetail }, text || 'The DTLS handshake failed'));
    }
    dtlsSteps.fireStateChange(this.dtls);
    this.#owner.dtlsStateChanged();
  }

  #sctpState(state: (typeof SCTP_STATES)[number], maxChannels: number): void {
    if (!sctpSteps.setState(this.sctp, state)) return;
    if (state === 'connected') {
      sctpSteps.setMaxChannels(this.sctp, maxChannels);
      this.#owner.sctpConnected(maxChannels);
    }
    sctpSteps.fireStateChange(this.sctp);
  }

  /** Our own half failed: everything on it has. */
  #lost(): void {
    if (iceSteps.setState(this.ice, 'failed')) iceSteps.fire(this.ice, 'statechange');
    if (dtlsSteps.setState(this.dtls, 'failed')) dtlsSteps.fireStateChange(this.dtls);
    if (sctpSteps.setState(this.sctp, 'closed')) sctpSteps.fireStateChange(this.sctp);
    this.#owner.lost();
    this.#owner.iceStateChanged();
  }
}
