// The lifetimes of WebTransport.

import { testLifetimes } from './lifetimes.mjs';

testLifetimes('webtransport');
