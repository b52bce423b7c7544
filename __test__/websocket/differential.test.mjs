// The same bytes to the `ws` package's server and to ours: the same messages, the same Close frame on the wire, the same
// close event. The bytes are the fuzz targets' corpus and frames put together at random, from a fixed seed.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { WebSocketServer as WsServer } from 'ws';
import { all, frame, frameClient, frames, listening } from '../helpers/websocket-ends.mjs';

const LIMIT = 70_000;
const MASK = [0x11, 0x22, 0x33, 0x44];

/** Both servers; what a connection of each heard resolves its promise, in the order of the connections. */
const heardBy = { ws: [], webwire: [] };
const ports = {};

before(async (t) => {
  const ws = new WsServer({ host: '127.0.0.1', port: 0, maxPayload: LIMIT });
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
    { maxMessageSize: LIMIT },
  );
  ports.webwire = port;
});

/** What a server sends and hears when a client sends these bytes and ends. */
async function outcome(t, name, bytes) {
  const socket = await frameClient(t, ports[name]);
  const sent = all(socket);
  socket.end(bytes);
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

async function compare(t, what, bytes) {
  const [theirs, ours] = await Promise.all([outcome(t, 'ws', bytes), outcome(t, 'webwire', bytes)]);
  assert.deepEqual(ours, theirs, `${what}: ${bytes.subarray(0, 60).toString('hex')}`);
}

test('the corpus', async (t) => {
  const folder = new URL('../../fuzz/corpus/websocket_frames/', import.meta.url);
  let count = 0;
  for (const name of readdirSync(folder)) {
    const data = readFileSync(new URL(name, folder));
    // The first byte chooses the role, the second is for the target.
    if (data.length < 2 || data[0] % 2 === 0) continue;
    await compare(t, name, data.subarray(2));
    count += 1;
  }
  assert.ok(count > 0);
});

test('frames at random', async (t) => {
  let state = 0x2545f491;
  const random = (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const payloads = [
    Buffer.alloc(0),
    Buffer.from('text'),
    Buffer.from('Grüße €'),
    Buffer.from([0xe2, 0x82]),
    Buffer.from([0xac]),
    Buffer.from([0xff]),
    Buffer.from([0x03, 0xe8]),
    Buffer.from([0x03, 0xed]),
    Buffer.from([0x0f, 0xa0, 0x62]),
    Buffer.from([0x03]),
    Buffer.alloc(125, 'x'),
    Buffer.alloc(126, 'y'),
    Buffer.alloc(40_000, 'z'),
  ];
  const firsts = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88, 0x81, 0x00, 0x80, 0x09, 0xc1, 0x83, 0x8b];
  for (let round = 0; round < 300; round += 1) {
    const parts = [];
    for (let count = 1 + random(6); count > 0; count -= 1) {
      // Mostly what goes on, now and then what fails.
      const first = firsts[random(8) === 0 ? random(firsts.length) : random(12)];
      const mask = random(30) === 0 ? undefined : MASK;
      parts.push(frame(first, payloads[random(payloads.length)], { mask }));
    }
    const bytes = Buffer.concat(parts);
    await compare(t, `round ${round}`, random(10) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes);
  }
});
