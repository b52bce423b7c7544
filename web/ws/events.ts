// The events of `ws`'s surface of the standard's shape: plain objects, made from the emitter's events for each listener.

import type { WebSocket } from './websocket.js';

class Event {
  readonly type: string;
  readonly target: WebSocket;

  constructor(type: string, target: WebSocket) {
    this.type = type;
    this.target = target;
  }
}

class MessageEvent extends Event {
  readonly data: unknown;

  constructor(target: WebSocket, data: unknown) {
    super('message', target);
    this.data = data;
  }
}

class CloseEvent extends Event {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;

  constructor(target: WebSocket, code: number, reason: string, wasClean: boolean) {
    super('close', target);
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
  }
}

class ErrorEvent extends Event {
  readonly error: unknown;
  readonly message: string;

  constructor(target: WebSocket, error: Error) {
    super('error', target);
    this.error = error;
    this.message = error.message;
  }
}

type Handler = ((this: WebSocket, event: object) => unknown) | { handleEvent(event: object): unknown };

type Listener = Parameters<WebSocket['on']>[1];

/** How a listener of the emitter was asked for. */
type Way = 'listener' | 'attribute';

/** The emitter's listeners that stand for others. */
const origins = new WeakMap<object, { readonly handler: Handler; readonly way: Way }>();

/** Whether the closing handshake of a socket was completed. */
export type WasClean = (socket: WebSocket) => boolean;

function call(handler: Handler, target: WebSocket, event: Event): void {
  if (typeof handler === 'function') handler.call(target, event);
  else handler.handleEvent(event);
}

/** The emitter's listener that calls `handler` with an event; undefined for a type that the surface lacks. */
function listenerOf(type: string, handler: Handler, wasClean: WasClean): Listener | undefined {
  switch (type) {
    case 'open':
      return function (this: WebSocket) {
        call(handler, this, new Event('open', this));
      };
    case 'message':
      return function (this: WebSocket, data: Buffer, isBinary: boolean) {
        call(handler, this, new MessageEvent(this, isBinary ? data : data.toString()));
      };
    case 'error':
      return function (this: WebSocket, error: Error) {
        call(handler, this, new ErrorEvent(this, error));
      };
    case 'close':
      return function (this: WebSocket, code: number, reason: Buffer) {
        call(handler, this, new CloseEvent(this, code, reason.toString(), wasClean(this)));
      };
    default:
      return undefined;
  }
}

function find(socket: WebSocket, type: string, way: Way, handler?: Handler): Listener | undefined {
  return socket.listeners(type).find((listener) => {
    const origin = origins.get(listener);
    return origin?.way === way && (handler === undefined || origin.handler === handler);
  }) as Listener | undefined;
}

function isHandler(value: unknown): value is Handler {
  return typeof value === 'function' || (typeof value === 'object' && value !== null);
}

export function addListener(
  socket: WebSocket,
  type: string,
  handler: unknown,
  options: { once?: boolean | undefined },
  wasClean: WasClean,
): void {
  if (!isHandler(handler) || find(socket, type, 'listener', handler) !== undefined) return;
  add(socket, type, handler, 'listener', options.once === true ? 'once' : 'on', wasClean);
}

export function removeListener(socket: WebSocket, type: string, handler: unknown): void {
  const listener = isHandler(handler) ? find(socket, type, 'listener', handler) : undefined;
  if (listener !== undefined) socket.removeListener(type, listener);
}

/** The value of the attribute `on…`. */
export function attribute(socket: WebSocket, type: string): Handler | null {
  const listener = find(socket, type, 'attribute');
  return (listener && origins.get(listener)?.handler) ?? null;
}

export function setAttribute(socket: WebSocket, type: string, handler: unknown, wasClean: WasClean): void {
  const before = find(socket, type, 'attribute');
  if (before !== undefined) socket.removeListener(type, before);
  if (typeof handler === 'function') add(socket, type, handler as Handler, 'attribute', 'on', wasClean);
}

function add(
  socket: WebSocket,
  type: string,
  handler: Handler,
  way: Way,
  method: 'on' | 'once',
  wasClean: WasClean,
): void {
  const listener = listenerOf(type, handler, wasClean);
  if (listener === undefined) return;
  origins.set(listener, { handler, way });
  socket[method](type, listener);
}
