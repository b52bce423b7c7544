// The ESM wrapper: the same classes that `require` gives.
import webwire from './index.js';

export const {
  CloseEvent,
  generateCertificate,
  RTCCertificate,
  RTCDataChannel,
  RTCDataChannelEvent,
  RTCDtlsTransport,
  RTCError,
  RTCErrorEvent,
  RTCIceCandidate,
  RTCIceCandidatePair,
  RTCIceTransport,
  RTCPeerConnection,
  RTCPeerConnectionIceEvent,
  RTCSctpTransport,
  RTCSessionDescription,
  WebSocket,
  WebSocketError,
  WebSocketServer,
  WebSocketStream,
  WebTransport,
  WebTransportBidirectionalStream,
  WebTransportDatagramDuplexStream,
  WebTransportDatagramsWritable,
  WebTransportError,
  WebTransportReceiveStream,
  WebTransportSendGroup,
  WebTransportSendStream,
  WebTransportServer,
  WebTransportWriter,
} = webwire;

export default webwire;
