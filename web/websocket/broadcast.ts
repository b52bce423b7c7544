// One message to many sockets of a WebSocketServer: converted once, framed once, handed down in one call.

import { BufferSource, boolean, callback, dictionary, instance, isBufferSource, USVString } from '../webidl.js';
import type { Sockets } from './clients.js';
import { clearsWay, OPEN, queuedForAll, WebSocket } from './websocket.js';

/** The native core's part. */
export interface Broadcasting {
  broadcastBinary(numbers: Uint32Array, data: Uint8Array): number[];
  broadcastText(numbers: Uint32Array, data: Uint8Array): number[];
}

const options = dictionary('WebSocketBroadcastOptions', {
  except: { type: instance('WebSocket', (value): value is WebSocket => value instanceof WebSocket) },
  filter: { type: callback },
});

/** Sends to all open sockets but those that the options leave out. Returns how many got it. */
export function broadcast(native: Broadcasting, sockets: Sockets, data: unknown, given: unknown): number {
  const { except, filter } = options(given, 'options');
  const text = isBufferSource(data) ? undefined : USVString(data, 'data');
  const bytes = text === undefined ? BufferSource(data, 'data') : Buffer.from(text, 'utf8');
  const chosen: number[] = [];
  let alone = 0;
  for (const [number, socket] of sockets.open()) {
    if (socket.readyState !== OPEN || socket === except) continue;
    if (filter !== undefined && !boolean((filter as (socket: WebSocket) => unknown)(socket), 'filter')) continue;
    // The filter may have closed it.
    if (socket.readyState !== OPEN) continue;
    if (clearsWay(socket)) chosen.push(number);
    else {
      // A Blob is still being read for it.
      socket.send(text ?? (bytes as Uint8Array<ArrayBuffer>));
      alone += 1;
    }
  }
  const numbers = Uint32Array.from(chosen);
  const queued = text !== undefined ? native.broadcastText(numbers, bytes) : native.broadcastBinary(numbers, bytes);
  for (const number of queued) {
    const socket = sockets.get(number);
    if (socket !== undefined) queuedForAll(socket, bytes.length);
  }
  return chosen.length + alone;
}
