// permessage-deflate of webwire/ws, both roles, against the package `ws`.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { ours, theirs } from '../helpers/ws.mjs';

const text = JSON.stringify(Array.from({ length: 200 }, (_, id) => ({ id, name: 'compressed' })));

for (const [title, client, server] of [
  ['our client', ours, theirs],
  ['our server', theirs, ours],
]) {
  test(`${title}: options, extensions and messages`, async (t) => {
    const converse = async (options, clientOptions) => {
      const listening = new server.WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
      t.after(() => listening.close());
      listening.on('connection', (socket) => {
        socket.on('message', (data, isBinary) => {
          socket.send(isBinary ? data : `${socket.extensions} ${data}`);
        });
      });
      await once(listening, 'listening');
      const socket = new client.WebSocket(`ws://127.0.0.1:${listening.address().port}`, clientOptions);
      await once(socket, 'open');
      socket.send(text);
      const [back] = await once(socket, 'message');
      assert.equal(back.toString(), `${socket.extensions} ${text}`);
      socket.close();
      await once(socket, 'close');
      return socket.extensions;
    };
    const deflate = {
      serverMaxWindowBits: 10,
      clientMaxWindowBits: 11,
      threshold: 0,
      zlibDeflateOptions: { level: 1 },
    };
    assert.equal(await converse({}, {}), '');
    assert.equal(await converse({ perMessageDeflate: true }, {}), 'permessage-deflate');
    assert.equal(await converse({ perMessageDeflate: deflate }, {}), 'permessage-deflate');
    assert.equal(await converse({ perMessageDeflate: true }, { perMessageDeflate: deflate }), 'permessage-deflate');
    assert.equal(await converse({ perMessageDeflate: true }, { perMessageDeflate: false }), '');
  });
}
