// The entry `webwire/websocket`.

export { CloseEvent } from './events.js';
export { WebSocketServer } from './server.js';
export { WebSocket } from './websocket.js';
export { WebSocketError } from './websocket-error.js';
export { WebSocketStream } from './websocket-stream.js';
