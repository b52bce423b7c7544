// The same bytes of a server to the `ws` package's client and to ours: the same messages, the same Close frame on the wire, the
// same close event. The other role is in differential.test.mjs.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import Ws from 'ws';
import { compressedAtRandom, corpus, framesAtRandom } from '../helpers/frame-streams.mjs';
import {
  CLOSE,
  closeBody,
  frame,
  frames,
  opening,
  readUntil,
  tcpServer,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

const LIMIT = 70_000;
const MASK = [0x11, 0x22, 0x33, 0x44];
const DEFLATE = 'permessage-deflate';

/** What the server sends each client, by its path, and where it tells what it got. */
const scripts = new Map();
let url;
let lastPath = 0;

/** Sends what belongs to the path, and tells all that the client sends, when the client is gone. */
async function serve(socket) {
  const head = await readUntil(socket, '\r\n\r\n');
  const { bytes, deflate, sent } = scripts.get(/^GET (\S+)/.exec(head)[1]);
  socket.write(opening(head, deflate ? [`Sec-WebSocket-Extensions: ${DEFLATE}`] : []));
  let received = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    // A server ends the connection first.
    if (frames(received).some(({ first }) => first === 0x88)) socket.end();
  });
  socket.once('close', () => sent(received));
  // `ws` inflates on other threads, and what it finds there after the end of the connection it does not tell the peer.
  if (deflate) socket.write(Buffer.concat([bytes, frame(CLOSE, closeBody(1000))]));
  else socket.end(bytes);
}

before(async (t) => {
  ({ url } = await tcpServer(t, serve));
});

/** A client of either kind: its messages, and the code of its end. */
const CLIENTS = {
  ws: (at, deflate) =>
    new Promise((resolve) => {
      const messages = [];
      const socket = new Ws(at, { maxPayload: LIMIT, perMessageDeflate: deflate });
      socket.on('message', (data, isBinary) => messages.push([isBinary ? 'binary' : 'text', data.toString('latin1')]));
      socket.on('error', () => {});
      socket.on('close', (code) => resolve({ messages, code }));
    }),
  webwire: (at, deflate) =>
    new Promise((resolve) => {
      const messages = [];
      const socket = new WebSocket(at, { maxMessageSize: LIMIT, perMessageDeflate: deflate });
      socket.binaryType = 'nodebuffer';
      socket.addEventListener('message', ({ data }) => {
        if (typeof data === 'string') messages.push(['text', Buffer.from(data).toString('latin1')]);
        else messages.push(['binary', data.toString('latin1')]);
      });
      socket.addEventListener('close', ({ code }) => resolve({ messages, code }));
    }),
};

/** What a client sends and hears when a server sends these bytes and ends, or with deflate, when it sends Close. */
async function outcome(name, bytes, deflate) {
  lastPath += 1;
  const path = `/${lastPath}`;
  const received = new Promise((sent) => scripts.set(path, { bytes, deflate, sent }));
  const heard = await CLIENTS[name](new URL(path, url).href, deflate);
  const close = frames(await received).find(({ first }) => first === 0x88);
  return { close: close && (close.payload.length < 2 ? 'empty' : close.payload.readUInt16BE(0)), ...heard };
}

async function compare(what, bytes, { deflate }) {
  const both = ['ws', 'webwire'].map((name) => outcome(name, bytes, deflate));
  const [theirs, ours] = await Promise.all(both);
  assert.deepEqual(ours, theirs, `${what}: ${bytes.subarray(0, 60).toString('hex')}`);
}

test('the corpus', async () => {
  for (const { name, bytes } of corpus('client')) await compare(name, bytes, { deflate: false });
});

test('compressed messages at random, and what can be wrong with them', async () => {
  for (const { name, bytes } of compressedAtRandom(0x1d872b42)) await compare(name, bytes, { deflate: true });
});

test('frames at random', async () => {
  for (const { name, bytes } of framesAtRandom(0x2545f492, undefined, MASK)) {
    await compare(name, bytes, { deflate: false });
  }
});
