// webwire's WebSocket.
import { WebSocket } from 'webwire/websocket';
import { w3c } from './websocket-w3c.mjs';

export default w3c(WebSocket, (options) => (options === undefined ? [] : [options]));
