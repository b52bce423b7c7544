// What a peer can make a process hold. Each case in a process of its own, which tells how far its memory rose.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { BINARY, CONTINUATION, fragment, frameServer } from '../helpers/websocket-ends.mjs';

const LIMIT = 32 * 1024 * 1024;
const MOST_FRAGMENTS = 131_072;

/** A client that says, when it has closed, with what code it failed and by how much memory was above that at the opening. */
const CLIENT = `
  const { subscribe } = require('node:diagnostics_channel');
  const { WebSocket } = require('./index.js');
  const [, url, limit] = process.argv;
  const socket = new WebSocket(url, { maxMessageSize: Number(limit) });
  let before;
  let code;
  subscribe('webwire:websocket:error', ({ error }) => { code = error.closeCode; });
  socket.onopen = () => { before = process.memoryUsage.rss(); socket.send('begin'); };
  socket.onclose = () => {
    console.log(JSON.stringify({ code, rise: process.resourceUsage().maxRSS * 1024 - before }));
  };
`;

/** What becomes of such a client when its peer does this. */
async function client(t, serve) {
  const { url } = await frameServer(t, (peer) => peer.once('data', () => serve(peer)));
  const options = { cwd: new URL('../..', import.meta.url) };
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', CLIENT, url, String(LIMIT)], options);
  return JSON.parse(stdout);
}

function fragments(count, length) {
  const one = fragment(CONTINUATION, Buffer.alloc(length));
  return Buffer.concat([fragment(BINARY, Buffer.alloc(length)), Buffer.alloc((count - 1) * one.length, one)]);
}

test('fragments that are together over the limit', async (t) => {
  const { code, rise } = await client(t, (peer) => peer.write(fragments(MOST_FRAGMENTS - 1, 260)));
  assert.equal(code, 1009);
  assert.ok(rise < 2 * LIMIT, `${rise} bytes`);
});

test('a million fragments of one byte', async (t) => {
  const { code, rise } = await client(t, (peer) => peer.write(fragments(1_000_000, 1)));
  assert.equal(code, 1008);
  assert.ok(rise < LIMIT, `${rise} bytes`);
});

test('a long message that is announced and comes byte by byte', async (t) => {
  const head = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeBigUInt64BE(BigInt(LIMIT), 2);
  const { code, rise } = await client(t, async (peer) => {
    peer.setNoDelay();
    for (const byte of head) await new Promise((written) => peer.write(Buffer.from([byte]), written));
    for (let count = 0; count < 5_000; count += 1) await new Promise((written) => peer.write('a', written));
    peer.end();
  });
  assert.equal(code, undefined);
  assert.ok(rise < LIMIT / 2, `${rise} bytes`);
});
