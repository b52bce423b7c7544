// The event `connection` of a WebSocketServer. Node's own; no standard has it.

import { Event } from '../event-target.js';
import type { WebSocketRequest } from './request.js';
import type { WebSocket } from './websocket.js';

/** The event of a client that was accepted without being asked for. */
export class WebSocketConnectionEvent extends Event {
  readonly #socket: WebSocket;
  readonly #request: WebSocketRequest;

  constructor(socket: WebSocket, request: WebSocketRequest) {
    super('connection');
    this.#socket = socket;
    this.#request = request;
  }

  get socket(): WebSocket {
    return this.#socket;
  }

  get request(): WebSocketRequest {
    return this.#request;
  }
}
