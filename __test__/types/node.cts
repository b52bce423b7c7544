// The types as a CommonJS module sees them, and the subpaths.

import webwire = require('webwire');

import { RTCPeerConnection } from 'webwire/webrtc';
import { WebSocket } from 'webwire/websocket';
import { WebTransport } from 'webwire/webtransport';

export const one: typeof webwire.WebSocket = WebSocket;
export const two: typeof webwire.WebTransport = WebTransport;
export const three: typeof webwire.RTCPeerConnection = RTCPeerConnection;
