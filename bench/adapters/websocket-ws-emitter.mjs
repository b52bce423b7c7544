// The WebSocket of `ws` through its own events.
import { WebSocket } from 'ws';
import { emitter } from './websocket-emitter.mjs';

export default emitter(WebSocket);
