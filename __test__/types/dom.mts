// Our classes where a program says lib.dom's: an object of ours is one of theirs. Members that do not exist yet are
// named here, and each name must go when the member comes.

import type * as webwire from 'webwire';

/** Compiles only when `Ours` can stand where `Theirs` is asked for. */
type Assignable<Theirs, Ours extends Theirs> = Ours;

/** Theirs without the members that ours lacks; a name that ours has by now does not compile. */
type Without<Theirs, Ours, Missing extends Exclude<keyof Theirs, keyof Ours>> = Omit<Theirs, Missing>;

export type Checks = [
  Assignable<WebSocket, webwire.WebSocket>,
  Assignable<CloseEvent, webwire.CloseEvent>,
  Assignable<WebTransport, webwire.WebTransport>,
  Assignable<WebTransportDatagramDuplexStream, webwire.WebTransportDatagramDuplexStream>,
  Assignable<WebTransportBidirectionalStream, webwire.WebTransportBidirectionalStream>,
  Assignable<WebTransportError, webwire.WebTransportError>,
  Assignable<
    Without<
      RTCPeerConnection,
      webwire.RTCPeerConnection,
      | 'addTrack'
      | 'addTransceiver'
      | 'getReceivers'
      | 'getSenders'
      | 'getTransceivers'
      | 'onicecandidateerror'
      | 'ontrack'
      | 'removeTrack'
    >,
    webwire.RTCPeerConnection
  >,
  Assignable<RTCDataChannel, webwire.RTCDataChannel>,
  Assignable<RTCDataChannelEvent, webwire.RTCDataChannelEvent>,
  Assignable<RTCSessionDescription, webwire.RTCSessionDescription>,
  Assignable<RTCIceCandidate, webwire.RTCIceCandidate>,
  Assignable<RTCPeerConnectionIceEvent, webwire.RTCPeerConnectionIceEvent>,
  Assignable<RTCCertificate, webwire.RTCCertificate>,
  Assignable<RTCSctpTransport, webwire.RTCSctpTransport>,
  Assignable<RTCDtlsTransport, webwire.RTCDtlsTransport>,
  Assignable<RTCIceTransport, webwire.RTCIceTransport>,
  Assignable<RTCError, webwire.RTCError>,
  Assignable<RTCErrorEvent, webwire.RTCErrorEvent>,
];
