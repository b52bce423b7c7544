// The server of `webwire/ws`.
import { WebSocketServer } from 'webwire/ws';
import { emitterServer } from './websocket-server-emitter.mjs';

export default emitterServer(WebSocketServer);
