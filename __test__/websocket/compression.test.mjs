// permessage-deflate: what is offered and agreed, and messages through it. https://www.rfc-editor.org/rfc/rfc7692

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket as WsClient, WebSocketServer as WsServer } from 'ws';
import { createCertificate } from '../helpers/certificate.mjs';
import {
  all,
  echo,
  FAILED,
  frames,
  heard,
  listening,
  next,
  opening,
  readUntil,
  request,
  tcpClient,
  tcpServer,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

const DEFLATE = 'permessage-deflate';
const COMPRESSED_TEXT = 0xc1;

/** The value of a header in the head of a request or a response. */
function header(head, name) {
  return new RegExp(`^${name}: (.*)\r$`, 'im').exec(head)?.[1];
}

/** A server of `ws` that echoes, as it came: text or binary. */
async function wsServer(t, perMessageDeflate) {
  const server = new WsServer({ host: '127.0.0.1', port: 0, perMessageDeflate });
  t.after(() => server.close());
  server.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
  await once(server, 'listening');
  return `ws://127.0.0.1:${server.address().port}/`;
}

/** Sends each message and waits for its echo. */
async function converse(socket, messages) {
  socket.binaryType = 'arraybuffer';
  for (const message of messages) {
    socket.send(message);
    const { data } = await next(socket, 'message');
    if (typeof message === 'string') assert.equal(data, message);
    else assert.deepEqual(new Uint8Array(data), message);
  }
}

const json = JSON.stringify(Array.from({ length: 400 }, (_, id) => ({ id, name: `né${id}`, tags: ['a', 'b'] })));
const noise = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 2_654_435_761) >>> 13);
const messages = [
  '',
  'a',
  json,
  json,
  noise,
  new Uint8Array(0),
  new Uint8Array(300_000),
  json.repeat(60),
  '🎉'.repeat(999),
];

test('what the client offers', async (t) => {
  const cases = [
    [undefined, `${DEFLATE}; client_max_window_bits`],
    [true, `${DEFLATE}; client_max_window_bits`],
    [{}, `${DEFLATE}; client_max_window_bits`],
    [false, undefined],
    [
      { serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 9, clientMaxWindowBits: 8 },
      `${DEFLATE}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=8`,
    ],
  ];
  for (const [perMessageDeflate, expected] of cases) {
    let head;
    const { url } = await tcpServer(t, async (socket) => {
      head = await readUntil(socket, '\r\n\r\n');
      socket.end();
    });
    await heard(new WebSocket(url, { perMessageDeflate })).closed;
    assert.equal(header(head, 'sec-websocket-extensions'), expected);
  }
});

test('what the client takes from a server', async (t) => {
  const answered = async (value, perMessageDeflate) => {
    const { url } = await tcpServer(t, async (socket) => {
      socket.write(opening(await readUntil(socket, '\r\n\r\n'), [`Sec-WebSocket-Extensions: ${value}`]));
    });
    const socket = new WebSocket(url, { perMessageDeflate });
    const { events, closed } = heard(socket);
    await Promise.race([next(socket, 'open'), closed]);
    const { extensions } = socket;
    socket.close();
    return events[0][0] === 'open' ? extensions : events;
  };
  const all = 'server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8';
  for (const value of ['', DEFLATE, `${DEFLATE};${all}; client_max_window_bits="12"`]) {
    assert.equal(await answered(value), value);
  }
  const bad = [
    'x-other',
    `${DEFLATE}, ${DEFLATE}`,
    `${DEFLATE};`,
    `${DEFLATE}; x`,
    `${DEFLATE}; server_no_context_takeover=1`,
    `${DEFLATE}; server_max_window_bits`,
    `${DEFLATE}; server_max_window_bits=16`,
    `${DEFLATE}; client_max_window_bits=08`,
    `${DEFLATE}; server_max_window_bits=8; server_max_window_bits=8`,
  ];
  for (const value of bad) assert.deepEqual(await answered(value), FAILED, value);
  assert.deepEqual(await answered(DEFLATE, false), FAILED);
  assert.deepEqual(await answered(DEFLATE, { serverNoContextTakeover: true }), FAILED);
  assert.deepEqual(await answered(`${DEFLATE}; server_max_window_bits=11`, { serverMaxWindowBits: 10 }), FAILED);
});

test('what the server answers', async (t) => {
  const answered = async (perMessageDeflate, offer) => {
    const { port } = await listening(t, echo, { perMessageDeflate });
    const client = await tcpClient(t, port);
    client.write(request(port, [`Sec-WebSocket-Extensions: ${offer}`]));
    const head = await readUntil(client, '\r\n\r\n');
    return head.startsWith('HTTP/1.1 101') ? header(head, 'sec-websocket-extensions') : head.slice(9, 12);
  };
  const offer = `${DEFLATE}; client_max_window_bits`;
  assert.equal(await answered(undefined, offer), undefined);
  assert.equal(await answered(false, offer), undefined);
  assert.equal(await answered(true, offer), DEFLATE);
  assert.equal(
    await answered({}, `x, ${DEFLATE}; y, ${DEFLATE}; server_max_window_bits="9"`),
    `${DEFLATE}; server_max_window_bits=9`,
  );
  assert.equal(
    await answered({ clientMaxWindowBits: 10, serverNoContextTakeover: true }, `${DEFLATE}, ${offer}`),
    `${DEFLATE}; server_no_context_takeover; client_max_window_bits=10`,
  );
  assert.equal(await answered({ clientMaxWindowBits: 10 }, DEFLATE), undefined);
  for (const perMessageDeflate of [true, false]) assert.equal(await answered(perMessageDeflate, `${DEFLATE};`), '400');
});

test('messages between our client and a server of ws', async (t) => {
  const variants = [
    { threshold: 0 },
    { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
    ...Array.from({ length: 7 }, (_, index) => ({ serverMaxWindowBits: index + 9, clientMaxWindowBits: index + 8 })),
    { level: 0, threshold: 0 },
    { level: 1, clientNoContextTakeover: true },
    { level: 9, serverNoContextTakeover: true },
  ];
  const url = await wsServer(t, { threshold: 0 });
  for (const perMessageDeflate of variants) {
    const socket = new WebSocket(url, { perMessageDeflate });
    await next(socket, 'open');
    assert.match(socket.extensions, /^permessage-deflate/);
    await converse(socket, messages);
    assert.equal(socket.bufferedAmount, 0);
    socket.close();
    assert.equal((await next(socket, 'close')).wasClean, true);
  }
  const plain = new WebSocket(await wsServer(t, false));
  await next(plain, 'open');
  assert.equal(plain.extensions, '');
  await converse(plain, messages);
  plain.close();
});

test('messages between a client of ws and our server', async (t) => {
  const sockets = [];
  const connected = (socket) => {
    sockets.push(socket);
    echo(socket);
  };
  const { url } = await listening(t, connected, { perMessageDeflate: { threshold: 0, serverMaxWindowBits: 12 } });
  const variants = [
    {},
    { serverNoContextTakeover: true, clientNoContextTakeover: true },
    { clientMaxWindowBits: 9, serverMaxWindowBits: 9 },
  ];
  for (const variant of variants) {
    const client = new WsClient(url, { perMessageDeflate: { threshold: 0, ...variant } });
    await once(client, 'open');
    for (const message of messages) {
      client.send(message);
      const [data] = await once(client, 'message');
      assert.deepEqual(data, Buffer.from(message));
    }
    assert.match(sockets.at(-1).extensions, /^permessage-deflate.*; server_max_window_bits=(9|12)/);
    client.close();
    await once(client, 'close');
  }
});

test('messages between our own ends over TLS', async (t) => {
  const { cert, key } = createCertificate();
  const { url } = await listening(t, echo, { cert, key, perMessageDeflate: true });
  const socket = new WebSocket(url, { ca: cert });
  await next(socket, 'open');
  assert.equal(socket.extensions, DEFLATE);
  await converse(socket, messages);
  socket.close();
  await next(socket, 'close');
});

test('the threshold, the order and what does not shrink', async (t) => {
  let sent;
  const { url } = await tcpServer(t, async (socket) => {
    socket.write(opening(await readUntil(socket, '\r\n\r\n'), [`Sec-WebSocket-Extensions: ${DEFLATE}`]));
    sent = all(socket);
    let bytes = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (frames(bytes).some(({ first }) => first === 0x88)) socket.end();
    });
  });
  const socket = new WebSocket(url, { perMessageDeflate: { threshold: 100 } });
  await next(socket, 'open');
  socket.send('x'.repeat(99));
  socket.send('x'.repeat(100));
  socket.ping('between');
  socket.send(new Uint8Array(20_000));
  socket.send('small');
  socket.send(crypto.getRandomValues(new Uint8Array(200)));
  socket.send('x'.repeat(30_000));
  assert.equal(socket.bufferedAmount, 99 + 100 + 20_000 + 5 + 200 + 30_000);
  socket.close(1000);
  const closed = next(socket, 'close');
  const got = frames(await sent).map(({ first, payload }) => [first, payload.length]);
  assert.deepEqual(
    got.map(([first]) => first),
    [0x81, COMPRESSED_TEXT, 0x89, 0xc2, 0x81, 0x82, COMPRESSED_TEXT, 0x88],
  );
  for (const [first, length] of got) if (first & 0x40) assert.ok(length < 100, `${length} bytes`);
  await closed;
  assert.equal(socket.bufferedAmount, 0);
});

test('a long message is not sent before it is compressed, and counts until then', async (t) => {
  const { url } = await listening(
    t,
    (socket) => {
      socket.addEventListener('message', ({ data }) => socket.send(String(data.length)));
    },
    { perMessageDeflate: true },
  );
  const socket = new WebSocket(url);
  await next(socket, 'open');
  const long = json.repeat(400);
  socket.send(long);
  socket.send('after');
  assert.ok(socket.bufferedAmount >= Buffer.byteLength(long) + 5);
  assert.equal((await next(socket, 'message')).data, String(long.length));
  assert.equal((await next(socket, 'message')).data, '5');
  assert.equal(socket.bufferedAmount, 0);
  socket.close();
});
