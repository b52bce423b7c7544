// createWebSocketStream: a stream.Duplex over a WebSocket of `ws`, with back-pressure both ways.
// https://github.com/websockets/ws/blob/master/doc/ws.md#createwebsocketstreamwebsocket-options

import { Duplex, type DuplexOptions } from 'node:stream';
import type { WebSocket } from './websocket.js';

/** With so many bytes waiting for the network a write waits too. Below that messages leave together, where each would cost a system call. */
const GATHERED = 64 * 1024;

/** A chunk written is a message; a message is a chunk, and where `readableObjectMode` is set, text is a string. */
export function createWebSocketStream(socket: WebSocket, options?: DuplexOptions): Duplex {
  /** The connection has failed by itself: its end has only to be waited for. */
  let failed = false;

  const whenOpen = (work: () => void): void => {
    if (socket.readyState === socket.CONNECTING) socket.once('open', work);
    else work();
  };

  const duplex = new Duplex({
    ...options,
    objectMode: false,
    writableObjectMode: false,
    read() {
      if (socket.isPaused) socket.resume();
    },
    write(chunk: unknown, _encoding, callback) {
      whenOpen(() => {
        if (socket.readyState !== socket.OPEN || socket.bufferedAmount >= GATHERED) socket.send(chunk, callback);
        else {
          socket.send(chunk);
          callback();
        }
      });
    },
    final(callback) {
      whenOpen(() => {
        if (socket.readyState === socket.CLOSED) {
          callback();
          return;
        }
        socket.once('close', () => callback());
        socket.close();
      });
    },
    destroy(error, callback) {
      if (socket.readyState === socket.CLOSED) {
        callback(error);
        return;
      }
      socket.once('close', () => callback(error));
      if (!failed) socket.terminate();
    },
  });

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (duplex.destroyed) return;
    const chunk = !isBinary && duplex.readableObjectMode ? data.toString() : data;
    if (!duplex.push(chunk)) socket.pause();
  });
  // Also heard when it is destroyed before it is open, which `ws` calls an error: nobody else has to listen.
  socket.on('error', (error: Error) => {
    failed = true;
    duplex.destroy(error);
  });
  socket.once('close', () => {
    if (duplex.destroyed) return;
    if (socket.bufferedAmount > 0) duplex.destroy(new Error('The connection was closed before all was written'));
    else duplex.push(null);
  });
  return duplex;
}
