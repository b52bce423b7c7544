// The lifetimes of RTCPeerConnection.

import { testLifetimes } from './lifetimes.mjs';

testLifetimes('webrtc');
