// What RTCPeerConnection uses of the native core: `src/webrtc/`'s doors as TypeScript sees them.

import { native } from '../binding.js';
import type { hub } from '../hub.js';

export interface NativeSlot {
  type: string;
  sdp: string;
}

/** A slot that is empty is absent. */
export interface NativeSlots {
  currentLocal?: NativeSlot;
  currentRemote?: NativeSlot;
  pendingLocal?: NativeSlot;
  pendingRemote?: NativeSlot;
}

export interface NativeIce {
  usernameFragment: string;
  password: string;
}

export interface NativeFingerprint {
  algorithm: string;
  value: string;
}

export interface NativeLocal {
  sessionId: string;
  version: number;
  freshIce: NativeIce;
  fingerprints: NativeFingerprint[];
  maxMessageSize: number;
  restartIce: boolean;
  wantsData: boolean;
}

export interface NativeRefusal {
  name: string;
  message: string;
  line?: number;
}

/** Our end of the data transport. */
export interface NativeGather {
  mid: string;
  index: number;
  ice: NativeIce;
}

/** The peer's end of the data transport, and our part in it. */
export interface NativeConnect {
  isControlling: boolean;
  isDtlsClient: boolean;
  ice: NativeIce;
  fingerprints: NativeFingerprint[];
  candidates: string[];
  endOfCandidates: boolean;
  localSctpPort: number;
  remoteSctpPort: number;
  remoteMaxMessageSize: number;
}

export interface NativeChanges {
  state: string;
  slots: NativeSlots;
  gather?: NativeGather;
  connect?: NativeConnect;
  hasData: boolean;
  canTrickle?: boolean;
}

export interface NativeOutcome {
  refusal?: NativeRefusal;
  sdp?: string;
  changes?: NativeChanges;
  slots?: NativeSlots;
  usernameFragments?: string[];
}

export interface NativeCandidate {
  foundation: string;
  component: string;
  priority: number;
  address: string;
  protocol: string;
  port: number;
  type: string;
  tcpType?: string;
  relatedAddress?: string;
  relatedPort?: number;
  usernameFragment?: string;
}

export interface NativePeerTransport {
  gather(usernameFragment: string, password: string): void;
  setRemoteParameters(usernameFragment: string, password: string, role: number): void;
  addRemoteCandidate(candidate: string): void;
  endOfRemoteCandidates(): void;
  startDtls(role: number, fingerprints: NativeFingerprint[]): void;
  startSctp(options: { localPort: number; remotePort: number; remoteMaxMessageSize: number }): void;
  incomingChannel(streamId: number): NativeIncomingChannel | null;
  close(): void;
}

export interface NativeIncomingChannel {
  label: string;
  protocol: string;
  ordered: boolean;
  maxRetransmits?: number;
  maxPacketLifeTime?: number;
}

export interface NativeDataTransport {
  sendText(text: string): void;
  sendBinary(bytes: Uint8Array): void;
  sendBatch(bytes: Uint8Array, frames: Uint32Array): void;
  close(): void;
}

type Numbers<Names extends string> = Readonly<Record<Names, number>>;
type NativeHub = typeof hub.native;

export const binding = native<{
  createOffer(state: string, slots: NativeSlots, local: NativeLocal): NativeOutcome;
  createAnswer(state: string, slots: NativeSlots, local: NativeLocal): NativeOutcome;
  applyDescription(state: string, slots: NativeSlots, isRemote: boolean, type: string, sdp: string): NativeOutcome;
  mayApplyDescription(state: string, isRemote: boolean, type: string): boolean;
  addRemoteCandidate(
    slots: NativeSlots,
    candidate: string,
    mid: string | undefined,
    index: number | undefined,
    usernameFragment: string | undefined,
  ): NativeOutcome;
  addLocalCandidate(slots: NativeSlots, usernameFragment: string, candidate: string): NativeOutcome;
  parseCandidate(candidate: string): NativeCandidate | null;
  generateIceCredentials(): NativeIce;
  generateCertificate(
    commonName: string,
    names: string[],
    notBeforeMs: number,
    notAfterMs: number,
  ): { certificate: string; key: string; sha256: string };
  PeerTransport: new (
    hub: NativeHub,
    id: number,
    options: { certificate: string; privateKey: string; maxMessageSize?: number; relayOnly?: boolean },
  ) => NativePeerTransport;
  DataTransport: new (
    hub: NativeHub,
    id: number,
    peer: NativePeerTransport,
    options: NativeIncomingChannel & { streamId: number; origin: number },
  ) => NativeDataTransport;
  PeerTransportEvent: Numbers<
    | 'GatheringState'
    | 'LocalCandidate'
    | 'IceState'
    | 'SelectedPair'
    | 'DtlsState'
    | 'SctpState'
    | 'DataChannel'
    | 'Closed'
  >;
  DataTransportEvent: Numbers<'Open' | 'Text' | 'Binary' | 'Sent' | 'Closing' | 'Closed'>;
  IceRole: Numbers<'Controlling' | 'Controlled'>;
  DtlsRole: Numbers<'Client' | 'Server'>;
  DataChannelOrigin: Numbers<'Announced' | 'Negotiated' | 'Incoming'>;
  TransportFailure: Numbers<'None' | 'Fingerprint' | 'Dtls' | 'Internal'>;
  DataChannelClose: Numbers<'Finished' | 'TransportClosed' | 'Failed'>;
}>();
