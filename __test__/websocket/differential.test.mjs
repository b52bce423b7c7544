// The same bytes to the `ws` package's server and to ours: the same messages, the same Close frame on the wire, the same
// close event. The bytes are the fuzz targets' corpus and frames put together at random, from a fixed seed.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import { WebSocketServer as WsServer } from 'ws';
import { numbers } from '../helpers/random.mjs';
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

/** What a message of permessage-deflate holds: without the tail of its last block. */
function deflated(text) {
  return deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** Frames of a message in so many pieces, compressed. */
function pieces(opcode, payload, count) {
  const size = Math.ceil(payload.length / count);
  return Array.from({ length: count }, (_, index) => {
    const first = (index === 0 ? 0x40 | opcode : 0) | (index === count - 1 ? 0x80 : 0);
    return frameOf(first, payload.subarray(index * size, (index + 1) * size));
  });
}

/** A frame with this first byte, whatever it is. */
function frameOf(first, payload = '') {
  const bytes = frame(0x80, payload, { mask: MASK });
  bytes[0] = first;
  return bytes;
}

test('compressed messages at random, and what can be wrong with them', async (t) => {
  const random = numbers(0x1d872b41);
  const texts = ['', 'text', 'Grüße €', 'a'.repeat(60_000), 'abc'.repeat(1_000)];
  const faults = {
    none: [],
    'not deflate': [frameOf(0xc1, 'not compressed')],
    'a reference to nothing': [frameOf(0xc2, Buffer.from([0x4b, 0x04, 0xe2, 0x00]))],
    'not UTF-8': [frameOf(0xc1, deflated(Buffer.from([0xff])))],
    'too big': [frameOf(0xc2, deflated('b'.repeat(80_000)))],
    'RSV1 on a control frame': [frameOf(0xc9)],
    'RSV1 on a continuation': [frameOf(0x42, deflated('a').subarray(0, 1)), frameOf(0xc0)],
    RSV2: [frameOf(0xa2)],
  };
  for (let round = 0; round < 300; round += 1) {
    const parts = [];
    for (let count = random(5); count > 0; count -= 1) {
      const text = texts[random(texts.length)];
      const opcode = 1 + random(2);
      if (random(4) === 0) parts.push(frameOf(0x80 | opcode, text));
      else parts.push(...pieces(opcode, deflated(text), 1 + random(3)).flatMap((one) => [one, frameOf(0x89, 'ping')]));
    }
    const names = Object.keys(faults);
    const fault = names[random(names.length)];
    const bytes = Buffer.concat([...parts, ...faults[fault]]);
    await compare(t, `round ${round}, ${fault}`, bytes, ['Sec-WebSocket-Extensions: permessage-deflate']);
  }
});

test('frames at random', async (t) => {
  const random = numbers(0x2545f491);
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
