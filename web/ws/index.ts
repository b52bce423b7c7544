// The entry `webwire/ws`: the interface of the package `ws`. Its main export is the class WebSocket, with the rest on it.

import { WebSocketServer } from './server.js';
import { createWebSocketStream } from './stream.js';
import { WebSocket } from './websocket.js';

Object.assign(WebSocket, { createWebSocketStream, Server: WebSocketServer, WebSocket, WebSocketServer });

export { createWebSocketStream, WebSocket, WebSocketServer };
