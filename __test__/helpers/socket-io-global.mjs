// Run by __test__/ws/socket-io.test.mjs: the build of socket.io's client for browsers finds `WebSocket` among the globals.
// node socket-io-global.mjs webwire|ws URL

import { WebSocket as Standard } from 'webwire';
import { WebSocket as OfWs } from 'webwire/ws';

const [which, url] = process.argv.slice(2);
globalThis.WebSocket = which === 'ws' ? OfWs : Standard;
const { WebSocket: Transport } = await import('engine.io-client');
const { io } = await import('socket.io-client');

const socket = io(url, { transports: [Transport], reconnection: false });
socket.on('connect_error', (error) => {
  throw error;
});
socket.on('connect', () => {
  const { ws } = socket.io.engine.transport;
  socket.emit('echo', 'text', Buffer.from([1, 2, 3]), (text, bytes) => {
    console.log(JSON.stringify([ws instanceof globalThis.WebSocket, text, [...new Uint8Array(bytes)]]));
    socket.close();
  });
});
