// The surface of the standard's shape that the class WebSocket of `ws` has beside its emitter.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tcpServer } from '../helpers/websocket-ends.mjs';
import { echo, ours, serve, theirs } from '../helpers/ws.mjs';

const { WebSocket } = ours;

/** Resolves with the events of the types, each when it comes. */
const next = (socket, type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));

test('events have their members, and their socket as target', async (t) => {
  const { url } = await serve(t, theirs, {}, echo);
  const socket = new WebSocket(url);
  const { type, target } = await next(socket, 'open');
  assert.deepEqual([type, target === socket], ['open', true]);
  for (const [sent, data] of [
    ['text', 'text'],
    [new Uint8Array([1]), Buffer.from([1])],
  ]) {
    const event = next(socket, 'message');
    socket.send(sent);
    const message = await event;
    assert.deepEqual([message.type, message.data, message.target === socket], ['message', data, true]);
  }
  const closed = next(socket, 'close');
  socket.close(3001, 'why');
  const { code, reason, wasClean } = await closed;
  assert.deepEqual([code, reason, wasClean], [3001, 'why', true]);
});

test('an error event has the error', async (t) => {
  const { port, server } = await tcpServer(t, () => {});
  await new Promise((resolve) => server.close(resolve));
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const closed = next(socket, 'close');
  const { type, error, message } = await next(socket, 'error');
  assert.deepEqual([type, error.code, message], ['error', 'ECONNREFUSED', error.message]);
  const { code, wasClean } = await closed;
  assert.deepEqual([code, wasClean], [1006, false]);
});

test('listeners are objects or functions, come once, and go', async (t) => {
  const { url } = await serve(t, theirs, {}, echo);
  const socket = new WebSocket(url);
  await next(socket, 'open');
  const heard = [];
  const listener = function (event) {
    heard.push(['function', event.data, this === socket]);
  };
  const object = {
    handleEvent(event) {
      heard.push(['object', event.data, this === object]);
    },
  };
  socket.addEventListener('message', listener);
  socket.addEventListener('message', listener);
  socket.addEventListener('message', object);
  socket.addEventListener('message', null);
  socket.addEventListener('unknown', listener);
  assert.equal(socket.listenerCount('message'), 2);
  assert.equal(socket.listenerCount('unknown'), 0);
  let back = next(socket, 'message');
  socket.send('one');
  await back;
  assert.deepEqual(heard.splice(0), [
    ['function', 'one', true],
    ['object', 'one', true],
  ]);
  socket.removeEventListener('message', listener);
  socket.removeEventListener('message', () => {});
  back = next(socket, 'message');
  socket.send('two');
  await back;
  assert.deepEqual(heard, [['object', 'two', true]]);
  assert.equal(socket.listenerCount('message'), 1);
  socket.terminate();
});

test('on… attributes are one listener each', async (t) => {
  const { url } = await serve(t, theirs, {}, echo);
  const socket = new WebSocket(url);
  for (const type of ['open', 'message', 'error', 'close']) {
    assert.equal(socket[`on${type}`], null);
    const handler = () => {};
    socket[`on${type}`] = handler;
    assert.equal(socket[`on${type}`], handler);
    socket[`on${type}`] = () => {};
    assert.equal(socket.listenerCount(type), 1);
    // The other way to listen does not know it.
    socket.removeEventListener(type, socket[`on${type}`]);
    assert.equal(socket.listenerCount(type), 1);
    socket[`on${type}`] = 'no function';
    assert.deepEqual([socket[`on${type}`], socket.listenerCount(type)], [null, 0]);
  }
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  const data = new Promise((resolve) => {
    socket.onmessage = (event) => resolve(event.data);
  });
  socket.send('text');
  assert.equal(await data, 'text');
  const closed = new Promise((resolve) => {
    socket.onclose = resolve;
  });
  socket.close(1000);
  assert.equal((await closed).code, 1000);
});
