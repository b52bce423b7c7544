// permessage-deflate of webwire/ws, both roles, against the package `ws`.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { frames, opening, readUntil, tcpServer } from '../helpers/websocket-ends.mjs';
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

for (const [name, { WebSocket }] of Object.entries({ ours, theirs })) {
  test(`what is not to be compressed is not (${name})`, async (t) => {
    let resolve;
    const received = new Promise((fulfil) => {
      resolve = fulfil;
    });
    const { url } = await tcpServer(t, async (socket) => {
      socket.write(opening(await readUntil(socket, '\r\n\r\n'), ['Sec-WebSocket-Extensions: permessage-deflate']));
      let bytes = Buffer.alloc(0);
      for await (const chunk of socket) {
        bytes = Buffer.concat([bytes, chunk]);
        if (frames(bytes).some(({ first }) => first === 0x88)) break;
      }
      resolve(frames(bytes));
    });
    const socket = new WebSocket(url);
    await once(socket, 'open');
    const plain = { compress: false };
    socket.send(text);
    socket.send(text, plain);
    socket.send(Buffer.from(text), plain);
    socket.send(new Blob([text]), plain);
    socket.send(text, plain);
    socket.send(text, { compress: true });
    socket.send(text, { ...plain, fin: false });
    socket.send('', { fin: true });
    socket.close();
    const seen = await received;
    assert.deepEqual(
      seen.map(({ first }) => first),
      // Here fragments leave as one.
      [0xc1, 0x81, 0x82, 0x82, 0x81, 0xc1, ...(name === 'ours' ? [0x81] : [0x01, 0x80]), 0x88],
    );
    for (const index of [1, 2, 3, 4, 6]) assert.equal(String(seen[index].payload), text);
  });
}
