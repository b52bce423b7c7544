// A client that is no more than a UDP socket: it sends packets that no library sends.

import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { clientHello, crypto, initial, longHeader, parseLongHeader, transportParameters } from '../helpers/quic.mjs';
import { startServer } from './pair.mjs';

/** A socket that knows what it sent and what came back. */
export async function startSender(context, port) {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  context.after(() => socket.close());
  const sender = {
    socket,
    sent: 0,
    received: [],
    async send(packet) {
      sender.sent += packet.length;
      await new Promise((resolve, reject) => {
        socket.send(packet, port, '127.0.0.1', (error) => (error ? reject(error) : resolve()));
      });
    },
  };
  socket.on('message', (packet) => sender.received.push(packet));
  return sender;
}

/** The server at `port` answers version negotiation when it has read all that was sent before. */
export async function flush(sender) {
  const source = randomBytes(8);
  const isAnswer = (packet) => {
    const { isLong, version, destination } = parseLongHeader(packet);
    return isLong && version === 0 && destination.equals(source);
  };
  await sender.send(longHeader({ version: 0x1a2a3a4a, source }));
  while (!sender.received.some(isAnswer)) await once(sender.socket, 'message');
  sender.received = sender.received.filter((packet) => !isAnswer(packet));
}

/** A server, and one that sends to it: `{ listener, sender }`. */
export async function start(context, options) {
  const listener = await startServer(context, options);
  return { listener, sender: await startSender(context, listener.server.address().port) };
}

/** The first packet of a client that never goes on: half a ClientHello. */
export function halfHello() {
  return initial(crypto(0, clientHello(transportParameters(randomBytes(8))).subarray(0, 100)));
}
