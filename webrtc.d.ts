// RTCPeerConnection with data channels. https://w3c.github.io/webrtc-pc/
// The members stand in the order of the IDL; what is not in the IDL stands behind.

import type { BinaryType, BufferSource, Handler } from './common.js';
import { EventTargetOf } from './common.js';

/** https://w3c.github.io/webrtc-pc/#dom-rtcconfiguration */
export interface RTCConfiguration {
  iceServers?: RTCIceServer[];
  iceTransportPolicy?: RTCIceTransportPolicy;
  bundlePolicy?: RTCBundlePolicy;
  rtcpMuxPolicy?: RTCRtcpMuxPolicy;
  certificates?: RTCCertificate[];
  iceCandidatePoolSize?: number;
}

/** https://w3c.github.io/webrtc-pc/#dom-rtciceserver */
export interface RTCIceServer {
  urls: string | string[];
  username?: string;
  credential?: string;
}

export type RTCIceTransportPolicy = 'relay' | 'all';
export type RTCBundlePolicy = 'balanced' | 'max-compat' | 'max-bundle';
export type RTCRtcpMuxPolicy = 'require';
export type RTCSignalingState =
  | 'stable'
  | 'have-local-offer'
  | 'have-remote-offer'
  | 'have-local-pranswer'
  | 'have-remote-pranswer'
  | 'closed';
export type RTCIceGatheringState = 'new' | 'gathering' | 'complete';
export type RTCPeerConnectionState = 'closed' | 'failed' | 'disconnected' | 'new' | 'connecting' | 'connected';
export type RTCIceConnectionState =
  | 'closed'
  | 'failed'
  | 'disconnected'
  | 'new'
  | 'checking'
  | 'completed'
  | 'connected';
export type RTCSdpType = 'offer' | 'pranswer' | 'answer' | 'rollback';

/** https://w3c.github.io/webrtc-pc/#dom-rtcofferoptions */
export interface RTCOfferOptions {
  /** Asks for new ICE credentials, and so for a new search for a path. */
  iceRestart?: boolean;
}

/** https://w3c.github.io/webrtc-pc/#dom-rtcansweroptions */
export type RTCAnswerOptions = Record<never, never>;

/** The events of an RTCPeerConnection. */
export interface RTCPeerConnectionEventMap {
  connectionstatechange: Event;
  datachannel: RTCDataChannelEvent;
  icecandidate: RTCPeerConnectionIceEvent;
  iceconnectionstatechange: Event;
  icegatheringstatechange: Event;
  negotiationneeded: Event;
  signalingstatechange: Event;
}

/** A connection between two peers. https://w3c.github.io/webrtc-pc/#interface-definition */
export class RTCPeerConnection extends EventTargetOf<RTCPeerConnectionEventMap> {
  /** Throws what `setConfiguration` throws. */
  constructor(configuration?: RTCConfiguration);
  createOffer(options?: RTCOfferOptions): Promise<RTCSessionDescriptionInit>;
  createOffer(
    successCallback: (description: RTCSessionDescriptionInit) => unknown,
    failureCallback: (error: DOMException) => unknown,
    options?: RTCOfferOptions,
  ): Promise<void>;
  /** Rejects with InvalidStateError where no offer of the peer waits. */
  createAnswer(options?: RTCAnswerOptions): Promise<RTCSessionDescriptionInit>;
  createAnswer(
    successCallback: (description: RTCSessionDescriptionInit) => unknown,
    failureCallback: (error: DOMException) => unknown,
  ): Promise<void>;
  /** Without an argument, makes and sets the description that the state asks for. */
  setLocalDescription(description?: RTCLocalSessionDescriptionInit): Promise<void>;
  setLocalDescription(
    description: RTCLocalSessionDescriptionInit,
    successCallback: () => unknown,
    failureCallback: (error: DOMException) => unknown,
  ): Promise<void>;
  readonly localDescription: RTCSessionDescription | null;
  readonly currentLocalDescription: RTCSessionDescription | null;
  readonly pendingLocalDescription: RTCSessionDescription | null;
  /** Rejects with RTCError (`sdp-syntax-error`) for SDP that can't be parsed, InvalidStateError in a wrong state. */
  setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void>;
  setRemoteDescription(
    description: RTCSessionDescriptionInit,
    successCallback: () => unknown,
    failureCallback: (error: DOMException) => unknown,
  ): Promise<void>;
  readonly remoteDescription: RTCSessionDescription | null;
  readonly currentRemoteDescription: RTCSessionDescription | null;
  readonly pendingRemoteDescription: RTCSessionDescription | null;
  /**
   * Adds a candidate of the peer; an empty one says that there are no more. Rejects with OperationError for one that can't be
   * parsed or belongs to no section, InvalidStateError without a remote description, TypeError without `sdpMid` and `sdpMLineIndex`.
   */
  addIceCandidate(candidate?: RTCIceCandidateInit | null): Promise<void>;
  addIceCandidate(
    candidate: RTCIceCandidateInit | null,
    successCallback: () => unknown,
    failureCallback: (error: DOMException) => unknown,
  ): Promise<void>;
  readonly signalingState: RTCSignalingState;
  readonly iceGatheringState: RTCIceGatheringState;
  readonly iceConnectionState: RTCIceConnectionState;
  readonly connectionState: RTCPeerConnectionState;
  readonly canTrickleIceCandidates: boolean | null;
  restartIce(): void;
  /** Not supported yet: rejects with NotSupportedError. */
  getStats(selector?: null): Promise<never>;
  /** A copy of the configuration. */
  getConfiguration(): RTCConfiguration;
  /** Throws InvalidModificationError for what can't change, SyntaxError for bad URLs of ICE servers. */
  setConfiguration(configuration?: RTCConfiguration): void;
  /** Ends everything at once. No state event follows. */
  close(): void;
  onnegotiationneeded: Handler<Event>;
  onicecandidate: Handler<RTCPeerConnectionIceEvent>;
  onsignalingstatechange: Handler<Event>;
  oniceconnectionstatechange: Handler<Event>;
  onicegatheringstatechange: Handler<Event>;
  onconnectionstatechange: Handler<Event>;
  /** Makes an ECDSA P-256 certificate. Rejects with NotSupportedError for other algorithms. */
  static generateCertificate(
    keygenAlgorithm: string | { name: string; [parameter: string]: unknown },
  ): Promise<RTCCertificate>;
  readonly sctp: RTCSctpTransport | null;
  /**
   * Throws InvalidStateError after `close()`, TypeError for labels and options that exclude each other, OperationError for an
   * `id` that is in use or when none is left.
   */
  createDataChannel(label: string, dataChannelDict?: RTCDataChannelInit): RTCDataChannel;
  ondatachannel: Handler<RTCDataChannelEvent>;

  /** Lets the connection keep the process alive while it is open, as it does at first. */
  ref(): void;
  /** Lets the process end although the connection is open. */
  unref(): void;

  /** Closes it; so does the end of a block with `using`. */
  [Symbol.dispose](): void;
  /** Closes it and waits until it is closed; so does the end of a block with `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** https://w3c.github.io/webrtc-pc/#rtcsessiondescription-class */
export class RTCSessionDescription {
  constructor(descriptionInitDict: RTCSessionDescriptionInit);
  readonly type: RTCSdpType;
  readonly sdp: string;
  toJSON(): RTCSessionDescriptionInit;
}

/** https://w3c.github.io/webrtc-pc/#dom-rtcsessiondescriptioninit */
export interface RTCSessionDescriptionInit {
  type: RTCSdpType;
  sdp?: string;
}

/** https://w3c.github.io/webrtc-pc/#dom-rtclocalsessiondescriptioninit */
export interface RTCLocalSessionDescriptionInit {
  type?: RTCSdpType;
  sdp?: string;
}

export type RTCIceProtocol = 'udp' | 'tcp';
export type RTCIceTcpCandidateType = 'active' | 'passive' | 'so';
export type RTCIceCandidateType = 'host' | 'srflx' | 'prflx' | 'relay';
export type RTCIceServerTransportProtocol = 'udp' | 'tcp' | 'tls';
export type RTCIceComponent = 'rtp' | 'rtcp';

/** An address at which a peer may be reached. https://w3c.github.io/webrtc-pc/#rtcicecandidate-interface */
export class RTCIceCandidate {
  /** Throws TypeError when neither `sdpMid` nor `sdpMLineIndex` is given. */
  constructor(candidateInitDict?: RTCLocalIceCandidateInit);
  /** The `candidate-attribute` of the SDP. */
  readonly candidate: string;
  readonly sdpMid: string | null;
  readonly sdpMLineIndex: number | null;
  readonly foundation: string | null;
  readonly component: RTCIceComponent | null;
  readonly priority: number | null;
  readonly address: string | null;
  readonly protocol: RTCIceProtocol | null;
  readonly port: number | null;
  readonly type: RTCIceCandidateType | null;
  readonly tcpType: RTCIceTcpCandidateType | null;
  readonly relatedAddress: string | null;
  readonly relatedPort: number | null;
  readonly usernameFragment: string | null;
  /** Always there; lib.dom does not know it, and so its candidates could not be ours. */
  readonly relayProtocol?: RTCIceServerTransportProtocol | null;
  /** Always there; see `relayProtocol`. */
  readonly url?: string | null;
  toJSON(): RTCIceCandidateInit;
}

/** https://w3c.github.io/webrtc-pc/#dom-rtcicecandidateinit */
export interface RTCIceCandidateInit {
  candidate?: string;
  sdpMid?: string | null;
  sdpMLineIndex?: number | null;
  usernameFragment?: string | null;
}

/** https://w3c.github.io/webrtc-pc/#dom-rtclocalicecandidateinit */
export interface RTCLocalIceCandidateInit extends RTCIceCandidateInit {
  relayProtocol?: RTCIceServerTransportProtocol | null;
  url?: string | null;
}

/** https://w3c.github.io/webrtc-pc/#rtcpeerconnectioniceevent */
export class RTCPeerConnectionIceEvent extends Event {
  constructor(type: string, eventInitDict?: RTCPeerConnectionIceEventInit);
  /** A candidate to hand to the peer; null when gathering is complete. */
  readonly candidate: RTCIceCandidate | null;
  /** Always there; lib.dom does not know it, and so its events could not be ours. */
  readonly url?: string | null;
}

/** https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnectioniceeventinit */
export interface RTCPeerConnectionIceEventInit {
  bubbles?: boolean;
  cancelable?: boolean;
  composed?: boolean;
  candidate?: RTCIceCandidate | null;
  url?: string | null;
}

/** A certificate for DTLS. https://w3c.github.io/webrtc-pc/#rtccertificate-interface */
export class RTCCertificate {
  private constructor();
  /** When it expires, in milliseconds since 1970. */
  readonly expires: number;
  getFingerprints(): RTCDtlsFingerprint[];
}

/** https://w3c.github.io/webrtc-pc/#dom-rtcdtlsfingerprint */
export interface RTCDtlsFingerprint {
  algorithm?: string;
  value?: string;
}

export type RTCDtlsTransportState = 'new' | 'connecting' | 'connected' | 'closed' | 'failed';
export type RTCIceTransportState =
  | 'closed'
  | 'failed'
  | 'disconnected'
  | 'new'
  | 'checking'
  | 'completed'
  | 'connected';
export type RTCIceGathererState = 'new' | 'gathering' | 'complete';
export type RTCIceRole = 'unknown' | 'controlling' | 'controlled';
export type RTCSctpTransportState = 'connecting' | 'connected' | 'closed';
export type RTCDataChannelState = 'connecting' | 'open' | 'closing' | 'closed';

/** The DTLS below a connection. https://w3c.github.io/webrtc-pc/#rtcdtlstransport-interface */
export class RTCDtlsTransport extends EventTargetOf<{ statechange: Event; error: RTCErrorEvent }> {
  private constructor();
  readonly iceTransport: RTCIceTransport;
  readonly state: RTCDtlsTransportState;
  /** The peer's certificate chain as DER; empty before it is known. */
  getRemoteCertificates(): ArrayBuffer[];
  onstatechange: Handler<Event>;
  onerror: Handler<RTCErrorEvent>;
}

/** The events of an RTCIceTransport. */
export interface RTCIceTransportEventMap {
  statechange: Event;
  gatheringstatechange: Event;
  selectedcandidatepairchange: Event;
}

/** The ICE below a connection. https://w3c.github.io/webrtc-pc/#rtcicetransport */
export class RTCIceTransport extends EventTargetOf<RTCIceTransportEventMap> {
  private constructor();
  readonly role: RTCIceRole;
  readonly component: RTCIceComponent;
  readonly state: RTCIceTransportState;
  readonly gatheringState: RTCIceGathererState;
  getLocalCandidates(): RTCIceCandidate[];
  getRemoteCandidates(): RTCIceCandidate[];
  getSelectedCandidatePair(): RTCIceCandidatePair | null;
  getLocalParameters(): RTCIceParameters | null;
  getRemoteParameters(): RTCIceParameters | null;
  onstatechange: Handler<Event>;
  ongatheringstatechange: Handler<Event>;
  onselectedcandidatepairchange: Handler<Event>;
}

/** https://w3c.github.io/webrtc-pc/#dom-rtciceparameters */
export interface RTCIceParameters {
  usernameFragment?: string;
  password?: string;
}

/** https://w3c.github.io/webrtc-pc/#rtcicecandidatepair */
export class RTCIceCandidatePair {
  private constructor();
  readonly local: RTCIceCandidate;
  readonly remote: RTCIceCandidate;
}

/** The SCTP below the data channels. https://w3c.github.io/webrtc-pc/#rtcsctptransport-interface */
export class RTCSctpTransport extends EventTargetOf<{ statechange: Event }> {
  private constructor();
  readonly transport: RTCDtlsTransport;
  readonly state: RTCSctpTransportState;
  /** The largest message that the peer takes, in bytes; `send()` throws TypeError over it. Null until an answer is applied, which lib.dom's type does not say. */
  readonly maxMessageSize: number;
  readonly maxChannels: number | null;
  onstatechange: Handler<Event>;
}

/** https://w3c.github.io/webrtc-pc/#dom-rtcdatachannelinit */
export interface RTCDataChannelInit {
  ordered?: boolean;
  /** Milliseconds. TypeError together with `maxRetransmits`. */
  maxPacketLifeTime?: number;
  maxRetransmits?: number;
  protocol?: string;
  /** Both ends make the channel themselves, with the same `id`. */
  negotiated?: boolean;
  id?: number;
}

/** The events of an RTCDataChannel. */
export interface RTCDataChannelEventMap {
  open: Event;
  message: MessageEvent;
  bufferedamountlow: Event;
  error: RTCErrorEvent;
  closing: Event;
  close: Event;
}

/** A stream of messages between two peers. https://w3c.github.io/webrtc-pc/#rtcdatachannel */
export class RTCDataChannel extends EventTargetOf<RTCDataChannelEventMap> {
  private constructor();
  readonly label: string;
  readonly ordered: boolean;
  readonly maxPacketLifeTime: number | null;
  readonly maxRetransmits: number | null;
  readonly protocol: string;
  readonly negotiated: boolean;
  readonly id: number | null;
  readonly readyState: RTCDataChannelState;
  /** Bytes given to `send()` that the transport has not taken yet. */
  readonly bufferedAmount: number;
  bufferedAmountLowThreshold: number;
  onopen: Handler<Event>;
  onbufferedamountlow: Handler<Event>;
  onerror: Handler<RTCErrorEvent>;
  onclosing: Handler<Event>;
  onclose: Handler<Event>;
  close(): void;
  onmessage: Handler<MessageEvent>;
  /** How binary messages arrive; `arraybuffer` at first. */
  binaryType: BinaryType;
  /**
   * Sends a text or binary message. Throws InvalidStateError unless the channel is open, TypeError over the peer's
   * `maxMessageSize`, OperationError when the buffer is full.
   */
  send(data: string | BufferSource | Blob): void;
}

/** https://w3c.github.io/webrtc-pc/#rtcdatachannelevent */
export class RTCDataChannelEvent extends Event {
  constructor(type: string, eventInitDict: RTCDataChannelEventInit);
  readonly channel: RTCDataChannel;
}

/** https://w3c.github.io/webrtc-pc/#dom-rtcdatachanneleventinit */
export interface RTCDataChannelEventInit {
  bubbles?: boolean;
  cancelable?: boolean;
  composed?: boolean;
  channel: RTCDataChannel;
}

/** https://w3c.github.io/webrtc-pc/#rtcerrordetailtype-enum */
export type RTCErrorDetailType =
  | 'data-channel-failure'
  | 'dtls-failure'
  | 'fingerprint-failure'
  | 'sctp-failure'
  | 'sdp-syntax-error'
  | 'hardware-encoder-not-available'
  | 'hardware-encoder-error';

/** https://w3c.github.io/webrtc-pc/#rtcerrorinit-dictionary */
export interface RTCErrorInit {
  errorDetail: RTCErrorDetailType;
  sdpLineNumber?: number;
  sctpCauseCode?: number;
  receivedAlert?: number;
  sentAlert?: number;
}

/** An error with what WebRTC knows about it. https://w3c.github.io/webrtc-pc/#rtcerror-interface */
export class RTCError extends DOMException {
  constructor(init: RTCErrorInit, message?: string);
  readonly errorDetail: RTCErrorDetailType;
  readonly sdpLineNumber: number | null;
  readonly sctpCauseCode: number | null;
  readonly receivedAlert: number | null;
  readonly sentAlert: number | null;
}

/** https://w3c.github.io/webrtc-pc/#rtcerrorevent-interface */
export class RTCErrorEvent extends Event {
  constructor(type: string, eventInitDict: RTCErrorEventInit);
  readonly error: RTCError;
}

/** https://w3c.github.io/webrtc-pc/#rtcerroreventinit-dictionary */
export interface RTCErrorEventInit {
  bubbles?: boolean;
  cancelable?: boolean;
  composed?: boolean;
  error: RTCError;
}
