// The entry `webwire/websocket`.

export { CloseEvent } from './events.js';
export { WebSocket } from './websocket.js';
