// The sockets of a WebSocketServer: all that are not closed, and the live set of those that are open.

import type { WebSocket } from './websocket.js';

/** All sockets of a server that are not closed, by number. It holds them: a script may have them from `clients` only. */
export class Sockets {
  readonly #all = new Map<number, WebSocket>();
  readonly #numbers = new WeakMap<WebSocket, number>();
  readonly #open = new Set<number>();
  readonly #ended: () => void;
  readonly clients = new WebSocketClients(this);

  /** `ended` is called when one socket fewer is there. */
  constructor(ended: () => void) {
    this.#ended = ended;
  }

  /** How many are not closed. */
  get size(): number {
    return this.#all.size;
  }

  /** How many of them are open or closing. */
  get openSize(): number {
    return this.#open.size;
  }

  add(number: number, socket: WebSocket): void {
    this.#all.set(number, socket);
    this.#numbers.set(socket, number);
  }

  opened(number: number): void {
    if (this.#all.has(number)) this.#open.add(number);
  }

  ended(number: number): void {
    this.#open.delete(number);
    if (this.#all.delete(number)) this.#ended();
  }

  isOpen(socket: WebSocket): boolean {
    const number = this.#numbers.get(socket);
    return number !== undefined && this.#open.has(number);
  }

  get(number: number): WebSocket | undefined {
    return this.#all.get(number);
  }

  *all(): Generator<WebSocket> {
    yield* [...this.#all.values()];
  }

  *open(): Generator<[number, WebSocket]> {
    for (const number of this.#open) {
      const socket = this.#all.get(number);
      if (socket !== undefined) yield [number, socket];
    }
  }
}

/** The open sockets, as a set that nobody can change but the network. */
export class WebSocketClients {
  readonly #sockets: Sockets;

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  get size(): number {
    return this.#sockets.openSize;
  }

  has(socket: WebSocket): boolean {
    return this.#sockets.isOpen(socket);
  }

  *values(): Generator<WebSocket> {
    for (const [, socket] of this.#sockets.open()) yield socket;
  }

  keys(): Generator<WebSocket> {
    return this.values();
  }

  *entries(): Generator<[WebSocket, WebSocket]> {
    for (const socket of this.values()) yield [socket, socket];
  }

  forEach(callback: (socket: WebSocket, same: WebSocket, clients: WebSocketClients) => void, thisArg?: unknown): void {
    for (const socket of this.values()) callback.call(thisArg, socket, socket, this);
  }

  [Symbol.iterator](): Generator<WebSocket> {
    return this.values();
  }

  get [Symbol.toStringTag](): string {
    return 'WebSocketClients';
  }
}
