// The server of `ws`.
import { WebSocketServer } from 'ws';
import { emitterServer } from './websocket-server-emitter.mjs';

export default emitterServer(WebSocketServer);
