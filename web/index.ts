// The package's entry: every public class, from one place.

export * from './webrtc/index.js';
export * from './websocket/index.js';
export * from './webtransport/index.js';
