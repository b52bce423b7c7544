// A forked process, of child_process or of cluster. Says which of the sockets that it is told of it has, too; then serves
// an echo behind Node's http server.

import { createServer } from 'node:http';
import { WebSocketServer } from '../../index.mjs';
import { descriptors } from './descriptors.mjs';

process.once('message', (sockets) => {
  const shared = descriptors().filter((one) => sockets.includes(one));
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  server.addEventListener('connection', ({ socket }) => {
    socket.onmessage = ({ data }) => socket.send(data);
  });
  http.listen(0, '127.0.0.1', () => process.send({ shared, port: http.address().port }));
});
// What comes before somebody listens is lost.
process.send('ready');
