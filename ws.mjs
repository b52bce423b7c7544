// The ESM wrapper: the same classes that `require` gives.
import WebSocket from './ws.js';

export const { createWebSocketStream, WebSocketServer } = WebSocket;
export { WebSocket };
export default WebSocket;
