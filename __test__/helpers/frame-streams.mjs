// What an end of a WebSocket sends, for tests that give it to two implementations: the corpus of the fuzz target, and frames
// put together at random, the same ones for the same seed.

import { readdirSync, readFileSync } from 'node:fs';
import { constants, deflateRawSync } from 'node:zlib';
import { numbers } from './random.mjs';
import { frame } from './websocket-ends.mjs';

const CORPUS = new URL('../../fuzz/corpus/websocket_frames/', import.meta.url);
const ROUNDS = 300;

/** What the fuzz target has found worth keeping for a reader in this role: `{ name, bytes }`. */
export function corpus(role) {
  const found = [];
  for (const name of readdirSync(CORPUS)) {
    const data = readFileSync(new URL(name, CORPUS));
    // The first byte chooses the role, the second is for the target.
    if (data.length >= 2 && (data[0] % 2 === 0) === (role === 'client')) found.push({ name, bytes: data.subarray(2) });
  }
  if (found.length === 0) throw new Error('an empty corpus shows nothing');
  return found;
}

/** What a message of permessage-deflate holds: without the tail of its last block. */
function deflated(text) {
  return deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** Compressed messages, whole and in pieces, pings between, mostly with a fault behind them: `{ name, bytes }`. */
export function* compressedAtRandom(seed, mask) {
  /** A frame with this first byte, whatever it is. */
  const frameOf = (first, payload = '') => {
    const bytes = frame(0x80, payload, { mask });
    bytes[0] = first;
    return bytes;
  };
  /** Frames of a message in so many pieces, compressed. */
  const pieces = (opcode, payload, count) => {
    const size = Math.ceil(payload.length / count);
    return Array.from({ length: count }, (_, index) => {
      const first = (index === 0 ? 0x40 | opcode : 0) | (index === count - 1 ? 0x80 : 0);
      return frameOf(first, payload.subarray(index * size, (index + 1) * size));
    });
  };
  const random = numbers(seed);
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
  for (let round = 0; round < ROUNDS; round += 1) {
    const parts = [];
    for (let count = random(5); count > 0; count -= 1) {
      const text = texts[random(texts.length)];
      const opcode = 1 + random(2);
      if (random(4) === 0) parts.push(frameOf(0x80 | opcode, text));
      else parts.push(...pieces(opcode, deflated(text), 1 + random(3)).flatMap((one) => [one, frameOf(0x89, 'ping')]));
    }
    const names = Object.keys(faults);
    const fault = names[random(names.length)];
    yield { name: `round ${round}, ${fault}`, bytes: Buffer.concat([...parts, ...faults[fault]]) };
  }
}

/** Frames of all kinds with `mask`, now and then one with `other`, which is wrong; now and then cut: `{ name, bytes }`. */
export function* framesAtRandom(seed, mask, other) {
  const random = numbers(seed);
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
  for (let round = 0; round < ROUNDS; round += 1) {
    const parts = [];
    for (let count = 1 + random(6); count > 0; count -= 1) {
      // Mostly what goes on, now and then what fails.
      const first = firsts[random(8) === 0 ? random(firsts.length) : random(12)];
      const options = { mask: random(30) === 0 ? other : mask };
      parts.push(frame(first, payloads[random(payloads.length)], options));
    }
    const bytes = Buffer.concat(parts);
    const cut = random(10) === 0;
    yield { name: `round ${round}`, bytes: cut ? bytes.subarray(0, random(bytes.length)) : bytes };
  }
}
