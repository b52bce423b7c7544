// WebTransport: every public class of this API, client and server.

export { WebTransportBidirectionalStream } from './bidirectional-stream.js';
export { generateCertificate } from './certificate.js';
export { WebTransportDatagramDuplexStream } from './datagrams.js';
export { WebTransportError } from './error.js';
export { WebTransportDatagramsWritable } from './outgoing-datagrams.js';
export { WebTransportReceiveStream } from './receive-stream.js';
export { WebTransportSendGroup } from './send-group.js';
export { WebTransportSendStream } from './send-stream.js';
export { WebTransportServer } from './server.js';
export { WebTransport } from './web-transport.js';
export { WebTransportWriter } from './writer.js';
