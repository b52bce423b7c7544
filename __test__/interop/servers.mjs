// Our servers and connections, as the exercises need them: each ends with the test `context`.

import { createCertificate } from '../helpers/certificate.mjs';

/**
 * A WebSocketServer that accepts with the protocol `webwire-test` and echoes. Resolves to its port. Its sockets are added to
 * `accepted`.
 */
export async function serveWebSocketEcho(
  context,
  { WebSocketServer },
  { perMessageDeflate = false, accepted = [] } = {},
) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate });
  await server.ready;
  const run = async () => {
    for await (const request of server.incomingRequests) {
      const socket = await request.accept({ protocol: 'webwire-test' });
      accepted.push(socket);
      socket.binaryType = 'arraybuffer';
      socket.onmessage = ({ data }) => socket.send(data);
    }
  };
  const ended = run();
  context.after(async () => {
    await server.close({ timeoutMs: 0 });
    await ended;
  });
  return server.address().port;
}

/**
 * A WebTransportServer for one request, which `serve` gets together with the server. Resolves to its port, its certificate's
 * hash, and `outcome`, a promise of what `serve` resolves to.
 */
export async function serveOneRequest(context, { WebTransportServer }, serve, certificate = createCertificate()) {
  const { cert, key, hash } = certificate;
  const server = new WebTransportServer({ host: '127.0.0.1', port: 0, cert, key });
  await server.ready;
  context.after(() => server.close({ timeoutMs: 0 }));
  const run = async () => {
    const { value: request } = await server.incomingRequests.getReader().read();
    if (request === undefined) throw new Error('nobody connected');
    return serve(request, server);
  };
  const outcome = run();
  // Looked at when the client is done; that it failed earlier is then said there.
  outcome.catch(() => {});
  return { port: server.address().port, hash, outcome };
}

/** An RTCPeerConnection that is closed after the test. */
export function connectionFor(context, { RTCPeerConnection }) {
  const connection = new RTCPeerConnection();
  context.after(() => connection.close());
  return connection;
}

/** Links two ends of signalling that are not ends of one pair. */
export function link(one, other) {
  one.onmessage = (message) => other.send(message);
  other.onmessage = (message) => one.send(message);
}
