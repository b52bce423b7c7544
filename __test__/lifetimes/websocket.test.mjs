// The lifetimes of WebSocket.

import { testLifetimes } from './lifetimes.mjs';

testLifetimes('websocket');
