// webwire: the browser's network APIs for Node.js. Each API has a file of its own; this one names them all.

export type * from './common.js';
export * from './webrtc.js';
export * from './websocket.js';
export * from './webtransport.js';
