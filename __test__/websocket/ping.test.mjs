// Pings and pongs. https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import {
  echo,
  frame,
  frameServer,
  frames,
  listening,
  next,
  PING,
  PONG,
  TEXT,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

const text = (data) => Buffer.from(data).toString();

test('a ping is answered, and both ends can hear of it', async (t) => {
  const pinged = [];
  const { url } = await listening(t, (socket) => {
    socket.addEventListener('ping', ({ data }) => pinged.push(text(data)));
  });
  const socket = new WebSocket(url);
  assert.throws(() => socket.ping(), { name: 'InvalidStateError' });
  await next(socket, 'open');
  assert.throws(() => socket.ping(new Uint8Array(126)), { name: 'SyntaxError' });
  for (const data of ['', 'hello', 'x'.repeat(125)]) {
    socket.ping(data);
    assert.equal(text((await next(socket, 'pong')).data), data);
  }
  socket.ping(new Uint8Array([1, 2]));
  assert.deepEqual((await next(socket, 'pong')).data, new Uint8Array([1, 2]));
  assert.deepEqual(pinged, ['', 'hello', 'x'.repeat(125), '\x01\x02']);
  socket.close();
  socket.ping('ignored');
});

test('pings keep their place among messages', async (t) => {
  const order = [];
  const { url } = await listening(t, (socket) => {
    socket.addEventListener('ping', ({ data }) => order.push(`ping ${text(data)}`));
    socket.addEventListener('message', ({ data }) => {
      order.push(data);
      if (data === 'end') socket.close();
    });
  });
  const socket = new WebSocket(url);
  await next(socket, 'open');
  socket.send('1');
  socket.send('2');
  socket.ping('3');
  socket.send('4');
  socket.send('end');
  await next(socket, 'close');
  assert.deepEqual(order, ['1', '2', 'ping 3', '4', 'end']);
});

test('a flood of pings whose answers are not read: few are answered, the script has its turns, and data still flows', async (t) => {
  // More than the system would hold answers to.
  const COUNT = 100_000;
  let peer;
  const { url } = await frameServer(t, (socket) => {
    socket.pause();
    peer = socket;
  });
  const socket = new WebSocket(url);
  await next(socket, 'open');
  let pinged = 0;
  socket.addEventListener('ping', () => {
    pinged += 1;
  });
  let turns = 0;
  const timer = setInterval(() => {
    if (pinged > 0 && pinged < COUNT) turns += 1;
  }, 1);
  t.after(() => clearInterval(timer));
  const pings = Array.from({ length: COUNT }, (_, i) => frame(PING, String(i).padStart(125)));
  peer.write(Buffer.concat([...pings, frame(TEXT, 'behind')]));
  assert.equal((await next(socket, 'message')).data, 'behind');
  assert.equal(pinged, COUNT);
  assert.notEqual(turns, 0);
  let bytes = Buffer.alloc(0);
  const last = () => frames(bytes).at(-1);
  peer.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
  });
  peer.resume();
  while (Number(text(last()?.payload ?? '')) !== COUNT - 1) await once(peer, 'data');
  const answers = frames(bytes);
  assert.ok(answers.every(({ first }) => first === (0x80 | PONG)));
  assert.ok(answers.length < COUNT / 10, `${answers.length} answers`);
});

test('pongs that answer nothing are taken', async (t) => {
  const { url } = await frameServer(t, (socket) => {
    socket.write(Buffer.concat([frame(PONG, 'a'), frame(PONG), frame(TEXT, 'b')]));
  });
  const socket = new WebSocket(url);
  assert.equal((await next(socket, 'message')).data, 'b');
  socket.close();
});

test('a socket whose only listener is for pongs hears them', async (t) => {
  const { url } = await listening(t, echo);
  const socket = new WebSocket(url);
  const pong = next(socket, 'pong');
  await next(socket, 'open');
  socket.ping('a');
  assert.equal(text((await pong).data), 'a');
  socket.close();
});
