// `webwire/ws` as ES modules and TypeScript see it, and as what is typed for `ws` takes it.

import WebSocket, { createWebSocketStream, type RawData, WebSocketServer } from 'webwire/ws';
import type * as theirs from 'ws';

const socket = new WebSocket('ws://localhost', ['a'], { headers: { one: 'two' }, maxPayload: 1 });
socket.on('message', (data: RawData, isBinary: boolean) => socket.send(data as Buffer, { binary: isBinary }));
socket.on('close', (code, reason) => console.log(code.toFixed(), reason.toString()));
socket.onmessage = ({ data }) => console.log(data);
createWebSocketStream(socket).pipe(process.stdout);

const server = new WebSocketServer({ port: 0, verifyClient: (info: { origin: string }) => info.origin === '' });
server.on('connection', (client, request) => client.send(request.url ?? ''));
server.clients.forEach((client) => {
  client.terminate();
});

// @ts-expect-error: no such type of binary messages
socket.binaryType = 'string';

export const client: theirs.WebSocket = socket;
export const taken: Pick<theirs.WebSocketServer, 'clients' | 'close' | 'address'> = server;
