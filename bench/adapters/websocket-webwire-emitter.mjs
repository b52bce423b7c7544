// The WebSocket of `webwire/ws` through its own events.
import { WebSocket } from 'webwire/ws';
import { emitter } from './websocket-emitter.mjs';

export default emitter(WebSocket);
