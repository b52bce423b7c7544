// The entry `webwire/webrtc`: the classes of WebRTC.

export { RTCCertificate } from './certificate.js';
export { RTCDataChannel } from './data-channel.js';
export { RTCDtlsTransport } from './dtls-transport.js';
export { RTCDataChannelEvent, RTCPeerConnectionIceEvent } from './events.js';
export { RTCIceCandidate, RTCIceCandidatePair } from './ice-candidate.js';
export { RTCIceTransport } from './ice-transport.js';
export { RTCPeerConnection } from './peer-connection.js';
export { RTCError, RTCErrorEvent } from './rtc-error.js';
export { RTCSctpTransport } from './sctp-transport.js';
export { RTCSessionDescription } from './session-description.js';
