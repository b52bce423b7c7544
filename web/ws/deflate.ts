// The option `perMessageDeflate` as `ws` has it → the engine's.
// https://github.com/websockets/ws/blob/master/doc/ws.md#new-websocketserveroptions-callback

import { type Deflate, perMessageDeflate } from '../websocket/per-message-deflate.js';

interface DeflateOptions {
  serverNoContextTakeover?: unknown;
  clientNoContextTakeover?: unknown;
  serverMaxWindowBits?: unknown;
  /** Also true: our window may be limited, which the engine's client always says. */
  clientMaxWindowBits?: unknown;
  threshold?: unknown;
  zlibDeflateOptions?: { level?: number | undefined } | undefined;
}

/** Undefined is off. The engine compresses on threads of its own: `concurrencyLimit` and zlib's other options have no meaning. */
export function convertDeflate(given: unknown): Deflate | undefined {
  if (typeof given !== 'object' || given === null) return perMessageDeflate(given, 'perMessageDeflate');
  const options = given as DeflateOptions;
  const { serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, threshold } = options;
  const bits = typeof options.clientMaxWindowBits === 'boolean' ? undefined : options.clientMaxWindowBits;
  const level = options.zlibDeflateOptions?.level ?? -1;
  const converted = {
    serverNoContextTakeover,
    clientNoContextTakeover,
    serverMaxWindowBits,
    clientMaxWindowBits: bits,
    threshold,
    // -1 is zlib's default.
    level: level < 0 ? undefined : level,
  };
  return perMessageDeflate(converted, 'perMessageDeflate');
}
