// The lifetimes of WebSocketStream.

import { testLifetimes } from './lifetimes.mjs';

testLifetimes('websocketStream');
