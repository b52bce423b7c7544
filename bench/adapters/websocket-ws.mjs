// The WebSocket of `ws` through its interface of the standard's shape.
import { WebSocket } from 'ws';
import { w3c } from './websocket-w3c.mjs';

export default w3c(WebSocket);
