// The entry `webwire/websocket`.

export { CloseEvent } from './events.js';
export { WebSocketServer } from './server.js';
export { WebSocket } from './websocket.js';
