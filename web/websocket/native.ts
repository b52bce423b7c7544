// The native half of a connection, as the classes see it; `src/websocket/connection.rs`.

import { native } from '../binding.js';
import type { Resolving } from './lookup.js';
import type { Destination } from './options.js';

/** One connection. See `WebSocketConnection` in the native core. */
export interface Connection {
  send(batch: Uint8Array, length: number): boolean;
  sendBinary(data: Uint8Array): boolean;
  sendText(data: Uint8Array): boolean;
  sendBinaryUncompressed(data: Uint8Array): boolean;
  sendTextUncompressed(data: Uint8Array): boolean;
  ping(data: Uint8Array): void;
  pong(data: Uint8Array): void;
  pause(): void;
  resume(): void;
  close(code: number | undefined, reason: string): void;
  acknowledge(): void;
  abort(): void;
}

export const { WebSocketConnection, WebSocketEvent } = native<{
  WebSocketConnection: new (hub: object, id: number, destination: Destination) => Connection & Resolving;
  WebSocketEvent: Record<
    'Open' | 'Text' | 'Binary' | 'Drained' | 'Ping' | 'Pong' | 'Closing' | 'Closed' | 'Failed' | 'Answer',
    number
  >;
}>();

/** Bits of `Closed`. */
export const WAS_CLEAN = 1;
export const FAILED = 2;
/** "The WebSocket connection close code" of a connection that broke. */
export const ABNORMAL = 1006;

/** Of an object that never gets one: nothing can be sent on it. */
export const NO_CONNECTION: Connection = {
  send: () => false,
  sendBinary: () => false,
  sendText: () => false,
  sendBinaryUncompressed: () => false,
  sendTextUncompressed: () => false,
  ping() {},
  pong() {},
  pause() {},
  resume() {},
  close() {},
  acknowledge() {},
  abort() {},
};
