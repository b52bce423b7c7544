// Compressed messages that are wrong, too large or cut off fail that one connection. https://www.rfc-editor.org/rfc/rfc7692

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import {
  all,
  BINARY,
  CONTINUATION,
  closeCode,
  FAILED,
  fragment,
  frame,
  frames,
  heard,
  listening,
  next,
  opening,
  readUntil,
  request,
  TEXT,
  tcpClient,
  tcpServer,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

const RSV1 = 0x40;
const MASK = [1, 2, 3, 4];
/** The tail that RFC 7692 leaves away. */
const TAIL = 4;

/** The payload of a message in an empty window. */
function compress(data) {
  const bytes = deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH });
  return bytes.subarray(0, bytes.length - TAIL);
}

/** Inflates to `megabytes` of zeros: blocks that need no window, one after the other. */
function bomb(megabytes) {
  const block = deflateRawSync(Buffer.alloc(1 << 20), { level: 9, finishFlush: constants.Z_FULL_FLUSH });
  return Buffer.alloc(block.length * megabytes, block);
}

const whole = (opcode, payload, options) => frame(0x80 | RSV1 | opcode, payload, options);
const first = (opcode, payload) => fragment(0x80 | RSV1 | opcode, payload);

/** A server that agrees to permessage-deflate with these parameters and then does what it likes. */
function deflating(t, serve, parameters = '') {
  return tcpServer(t, async (socket) => {
    const head = await readUntil(socket, '\r\n\r\n');
    socket.write(opening(head, [`Sec-WebSocket-Extensions: permessage-deflate${parameters}`]));
    serve(socket);
  });
}

/** What a client hears and sends when a server sends these bytes. */
async function failure(t, bytes, { parameters, ...options } = {}) {
  let sent;
  const { url } = await deflating(
    t,
    (socket) => {
      sent = all(socket);
      socket.write(bytes);
    },
    parameters,
  );
  const { events, closed } = heard(new WebSocket(url, options));
  await closed;
  return { events, code: closeCode(await sent) };
}

const failed = (code) => ({ events: [['open'], ...FAILED], code });

test('RSV1 where it has no meaning: 1002', async (t) => {
  const cases = {
    'a ping': frame(0xc9, ''),
    'a Close': frame(0xc8, ''),
    'a later fragment': Buffer.concat([first(TEXT, ''), frame(0xc0, '')]),
    'a continuation of what is not compressed': Buffer.concat([fragment(TEXT, 'a'), frame(0xc0, 'a')]),
    RSV2: frame(0xe1, ''),
  };
  for (const [name, bytes] of Object.entries(cases)) assert.deepEqual(await failure(t, bytes), failed(1002), name);
});

test('data that is not DEFLATE, and text that is not UTF-8: 1007, as early as can be', async (t) => {
  const bad = Buffer.concat([Buffer.alloc(70_000, 'a'), Buffer.from([0xff])]);
  const cases = {
    'no DEFLATE': whole(BINARY, Buffer.alloc(9, 255)),
    'no DEFLATE in the first fragment': first(BINARY, Buffer.alloc(9, 255)),
    'no UTF-8': whole(TEXT, compress(Buffer.from([0x61, 0xed, 0xa0, 0x80]))),
    'UTF-8 that is cut': whole(TEXT, compress(Buffer.from([0xe2, 0x82]))),
    'no UTF-8 far into a message': whole(TEXT, compress(bad)),
    'no UTF-8 in the first fragment': first(TEXT, deflateRawSync(bad, { finishFlush: constants.Z_SYNC_FLUSH })),
  };
  for (const [name, bytes] of Object.entries(cases)) assert.deepEqual(await failure(t, bytes), failed(1007), name);
});

test('context takeover that was ruled out: 1007', async (t) => {
  const hello = Buffer.from('f248cdc9c90700', 'hex');
  const again = Buffer.from('f200110000', 'hex');
  const both = Buffer.concat([whole(TEXT, hello), whole(TEXT, again)]);
  const events = [['open'], ['message', 'Hello'], ...FAILED];
  assert.deepEqual(await failure(t, both, { parameters: '; server_no_context_takeover' }), { events, code: 1007 });
  // Also at a server.
  const seen = [];
  const { port } = await listening(t, (socket) => heard(socket).closed.then((events) => seen.push(events)), {
    perMessageDeflate: { clientNoContextTakeover: true },
  });
  const client = await tcpClient(t, port);
  client.write(request(port, ['Sec-WebSocket-Extensions: permessage-deflate']));
  assert.match(await readUntil(client, '\r\n\r\n'), /client_no_context_takeover/);
  client.write(Buffer.concat([whole(TEXT, hello, { mask: MASK }), whole(TEXT, again, { mask: MASK })]));
  assert.equal(closeCode(await all(client)), 1007);
  assert.deepEqual(seen, [[['message', 'Hello'], ...FAILED]]);
});

test('a bomb: 1009 at the limit, and little memory', async (t) => {
  // 6 GB in 6 MB.
  const huge = bomb(6_000);
  const half = huge.length >> 1;
  const maxMessageSize = 8 << 20;
  const cases = {
    whole: whole(BINARY, huge),
    text: whole(TEXT, huge),
    'in fragments': Buffer.concat([first(BINARY, huge.subarray(0, half)), frame(0x80, huge.subarray(half))]),
    'small as it is sent': whole(BINARY, bomb(9)),
    'by one byte': whole(BINARY, compress(Buffer.alloc(maxMessageSize + 1))),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    const before = process.memoryUsage.rss();
    assert.deepEqual(await failure(t, bytes, { maxMessageSize }), failed(1009), name);
    // The bytes themselves stand in the sockets' buffers.
    const grown = process.memoryUsage.rss() - before - bytes.length * 3;
    assert.ok(grown < 4 * maxMessageSize, `${name}: ${grown} bytes`);
  }
  const { url } = await deflating(t, (socket) => socket.write(whole(BINARY, compress(Buffer.alloc(maxMessageSize)))));
  const socket = new WebSocket(url, { maxMessageSize });
  assert.equal((await next(socket, 'message')).data.size, maxMessageSize);
  socket.close();
});

test('the header of a compressed message that must be too long: 1009', async (t) => {
  const header = Buffer.from([0xc2, 127, 0, 0, 0, 0, 0, 0x20, 0, 0]);
  assert.deepEqual(await failure(t, header, { maxMessageSize: 1 << 20 }), failed(1009));
});

test('a flood that inflates a thousandfold waits for the script', async (t) => {
  const one = whole(BINARY, compress(Buffer.alloc(1 << 20)));
  const count = 300;
  let answered;
  const { url } = await deflating(t, (socket) => {
    answered = once(socket, 'data');
    socket.write(Buffer.alloc(one.length * count, one));
    socket.write(frame(0x89, 'behind'));
  });
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const before = process.memoryUsage.rss();
  let most = 0;
  for (let index = 0; index < count; index++) {
    const { data } = await next(socket, 'message');
    assert.equal(data.byteLength, 1 << 20);
    most = Math.max(most, process.memoryUsage.rss() - before);
  }
  assert.ok(most < 150 << 20, `${most} bytes of ${count} MiB`);
  await next(socket, 'ping');
  const [bytes] = await answered;
  assert.deepEqual(
    frames(bytes).map(({ payload }) => payload.toString()),
    ['behind'],
  );
  socket.close();
});

test('a reset in the middle of a compressed message: 1006', async (t) => {
  const part = compress(Buffer.from('cut off '.repeat(9_000)));
  for (const bytes of [
    whole(TEXT, part).subarray(0, -9),
    first(TEXT, part),
    Buffer.concat([first(TEXT, part), frame(CONTINUATION, '').subarray(0, 1)]),
  ]) {
    const { url } = await deflating(t, (socket) =>
      socket.write(bytes, () => socket.once('data', () => socket.resetAndDestroy())),
    );
    const socket = new WebSocket(url);
    const { events, closed } = heard(socket);
    await next(socket, 'open');
    socket.send('now');
    await closed;
    assert.deepEqual(events, [['open'], ...FAILED]);
  }
});

test('a failure leaves the other connections of the thread alone', async (t) => {
  const { url } = await deflating(t, (socket) => socket.write(whole(BINARY, bomb(100))));
  const text = 'not harmed '.repeat(200);
  const { url: good } = await listening(
    t,
    (socket) => socket.addEventListener('message', ({ data }) => socket.send(data)),
    {
      perMessageDeflate: { threshold: 0 },
    },
  );
  const socket = new WebSocket(good, { perMessageDeflate: { threshold: 0 } });
  await next(socket, 'open');
  const failures = Array.from({ length: 5 }, () => heard(new WebSocket(url, { maxMessageSize: 1 << 20 })).closed);
  for (let index = 0; index < 50; index++) {
    socket.send(text + index);
    assert.equal((await next(socket, 'message')).data, text + index);
  }
  for (const events of await Promise.all(failures)) assert.deepEqual(events, [['open'], ...FAILED]);
  socket.close();
});
