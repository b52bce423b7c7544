// The same bytes to the `ws` package's server and to ours: the same messages, the same Close frame on the wire, the same
// close event. The bytes are the fuzz targets' corpus and frames put together at random, from a fixed seed. The other role is in
// differential-client.test.mjs.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { WebSocketServer as WsServer } from 'ws';
import { compressedAtRandom, corpus, framesAtRandom } from '../helpers/frame-streams.mjs';
import { all, CLOSE, closeBody, frame, frameClient, frames, listening } from '../helpers/websocket-ends.mjs';

const LIMIT = 70_000;
const MASK = [0x11, 0x22, 0x33, 0x44];

/** Both servers; what a connection of each heard resolves its promise, in the order of the connections. */
const heardBy = { ws: [], webwire: [] };
const ports = {};

before(async (t) => {
  const ws = new WsServer({ host: '127.0.0.1', port: 0, maxPayload: LIMIT, perMessageDeflate: true });
  ws.on('connection', (socket) => {
    const events = [];
    heardBy.ws.push(
      new Promise((resolve) => {
        socket.on('message', (data, isBinary) => events.push([isBinary ? 'binary' : 'text', data.toString('latin1')]));
        socket.on('error', () => events.push(['error']));
        socket.on('close', (code, reason) => resolve([...events, ['close', code, reason.toString()]]));
      }),
    );
  });
  await new Promise((resolve) => ws.on('listening', resolve));
  t.after(() => ws.close());
  ports.ws = ws.address().port;
  const { port } = await listening(
    t,
    (socket) => {
      socket.binaryType = 'nodebuffer';
      const events = [];
      heardBy.webwire.push(
        new Promise((resolve) => {
          socket.addEventListener('message', ({ data }) => {
            if (typeof data === 'string') events.push(['text', Buffer.from(data).toString('latin1')]);
            else events.push(['binary', data.toString('latin1')]);
          });
          socket.addEventListener('error', () => events.push(['error']));
          socket.addEventListener('close', ({ code, reason }) => resolve([...events, ['close', code, reason]]));
        }),
      );
    },
    { maxMessageSize: LIMIT, perMessageDeflate: true },
  );
  ports.webwire = port;
});

/** What a server sends and hears when a client sends these bytes and ends, or with `headers`, when it sends Close. */
async function outcome(t, name, bytes, headers) {
  const socket = await frameClient(t, ports[name], headers);
  const sent = all(socket);
  // `ws` inflates on other threads, and what it finds there after the end of the connection it does not tell the peer.
  if (headers.length > 0) socket.write(Buffer.concat([bytes, frame(CLOSE, closeBody(1000), { mask: MASK })]));
  else socket.end(bytes);
  const close = frames(await sent).find(({ first }) => first === 0x88);
  const heard = await heardBy[name].shift();
  // `ws` counts a connection that ends without a Close frame as an error only if a frame was cut.
  const [, code] = heard.at(-1);
  return {
    close: close && (close.payload.length < 2 ? 'empty' : close.payload.readUInt16BE(0)),
    code,
    messages: heard.filter(([type]) => type === 'text' || type === 'binary'),
  };
}

async function compare(t, what, bytes, headers = []) {
  const both = ['ws', 'webwire'].map((name) => outcome(t, name, bytes, headers));
  const [theirs, ours] = await Promise.all(both);
  assert.deepEqual(ours, theirs, `${what}: ${bytes.subarray(0, 60).toString('hex')}`);
}

test('the corpus', async (t) => {
  for (const { name, bytes } of corpus('server')) await compare(t, name, bytes);
});

test('compressed messages at random, and what can be wrong with them', async (t) => {
  const headers = ['Sec-WebSocket-Extensions: permessage-deflate'];
  for (const { name, bytes } of compressedAtRandom(0x1d872b41, MASK)) await compare(t, name, bytes, headers);
});

test('frames at random', async (t) => {
  for (const { name, bytes } of framesAtRandom(0x2545f491, MASK, undefined)) await compare(t, name, bytes);
});
