// close(), Close frames and the close event. https://websockets.spec.whatwg.org/#dom-websocket-close

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  all,
  BINARY,
  CLOSE,
  CloseEvent,
  closeBody,
  closeCode,
  echo,
  FAILED,
  frame,
  frameClient,
  frameServer,
  frames,
  heard,
  listening,
  next,
  TEXT,
  WebSocket,
} from '../helpers/websocket-ends.mjs';

test('codes and reasons that close() refuses', async (t) => {
  const { url } = await listening(t, echo);
  const socket = new WebSocket(url);
  const { events } = heard(socket);
  const refused = () => {
    for (const code of [0, 999, 1001, 1002, 1003, 1005, 1006, 1015, 2999, 5000, 65_536, -1, NaN, 'x', null, 1000.6]) {
      assert.throws(() => socket.close(code), { name: 'InvalidAccessError' }, String(code));
    }
    for (const reason of ['x'.repeat(124), 'é'.repeat(62)]) {
      assert.throws(() => socket.close(1000, reason), { name: 'SyntaxError' });
      assert.throws(() => socket.close(undefined, reason), { name: 'SyntaxError' });
    }
    assert.throws(() => socket.close(1000, Symbol('a')), TypeError);
  };
  refused();
  assert.equal(socket.readyState, WebSocket.CONNECTING);
  await next(socket, 'open');
  refused();
  assert.equal(socket.readyState, WebSocket.OPEN);
  assert.deepEqual(events, [['open']]);
  socket.close();
});

test('what close() says and hears', async (t) => {
  let atServer;
  const { url } = await listening(t, (socket) => {
    atServer = next(socket, 'close');
  });
  const cases = [
    [[], 1005, ''],
    [[1000], 1000, ''],
    [[3000, 'why'], 3000, 'why'],
    [[4999, 'x'.repeat(123)], 4999, 'x'.repeat(123)],
    [[undefined, 'only a reason'], 1000, 'only a reason'],
    [[1000.4, 'a\ud800'], 1000, 'a\ufffd'],
    [[3001, new Uint8Array(2)], 3001, '0,0'],
    [[1000, 42], 1000, '42'],
    [[1000, null], 1000, 'null'],
    [['3002', undefined], 3002, ''],
  ];
  for (const [args, code, reason] of cases) {
    const socket = new WebSocket(url);
    await next(socket, 'open');
    socket.close(...args);
    assert.equal(socket.readyState, WebSocket.CLOSING);
    const event = await next(socket, 'close');
    assert.equal(socket.readyState, WebSocket.CLOSED);
    assert.ok(event instanceof CloseEvent);
    for (const { code: said, reason: why, wasClean } of [event, await atServer]) {
      assert.deepEqual([said, why, wasClean], [code, reason, true]);
    }
  }
});

test('the server closes', async (t) => {
  const { url } = await listening(t, (socket) => {
    socket.send('last');
    socket.close(4000, 'server');
  });
  const socket = new WebSocket(url);
  const states = [];
  socket.onmessage = () => states.push(socket.readyState);
  socket.onclose = () => states.push(socket.readyState);
  const { events, closed } = heard(socket);
  await closed;
  assert.deepEqual(events, [['open'], ['message', 'last'], ['close', 4000, 'server', true]]);
  assert.deepEqual(states, [WebSocket.OPEN, WebSocket.CLOSED]);
});

test('close() while connecting fails the connection', async (t) => {
  const { url } = await listening(t, echo);
  const socket = new WebSocket(url);
  const { events, closed } = heard(socket);
  socket.close();
  socket.close(3000);
  assert.equal(socket.readyState, WebSocket.CLOSING);
  assert.deepEqual(events, []);
  await closed;
  assert.deepEqual(events, FAILED);
  assert.equal(socket.readyState, WebSocket.CLOSED);
});

test('close() in each handler, twice', async (t) => {
  const { url } = await listening(t, echo);
  for (const type of ['open', 'message', 'error', 'close']) {
    const socket = new WebSocket(type === 'error' ? 'ws://127.0.0.1:1/' : url);
    const { events, closed } = heard(socket);
    socket.addEventListener('open', () => socket.send('a'));
    socket.addEventListener(type, () => {
      socket.close(4001);
      socket.close(4002);
    });
    if (type === 'close') socket.addEventListener('open', () => socket.close(4001));
    await closed;
    const last = type === 'error' ? FAILED[1] : ['close', 4001, '', true];
    assert.deepEqual(events.at(-1), last, type);
    assert.equal(events.filter(([name]) => name === 'close').length, 1);
  }
});

test('no message is heard after close()', async (t) => {
  const { url } = await frameServer(t, (socket) => {
    socket.write(frame(TEXT, 'one'));
    socket.on('data', () => {
      socket.write(Buffer.concat([frame(TEXT, 'late'), frame(BINARY, 'late'), frame(CLOSE, closeBody(1000))]));
      socket.end(Buffer.concat([frame(TEXT, 'behind Close')]));
    });
  });
  const socket = new WebSocket(url);
  const { events, closed } = heard(socket);
  socket.addEventListener('message', () => socket.close(1000));
  await closed;
  assert.deepEqual(
    events.map(([type]) => type),
    ['open', 'message', 'close'],
  );
});

test('a Close frame without a body is 1005, and is answered without one', async (t) => {
  let answer;
  const { url } = await frameServer(t, (socket) => {
    answer = all(socket);
    socket.write(Buffer.concat([frame(TEXT, 'a'), frame(CLOSE)]));
    socket.once('data', () => socket.end());
  });
  const { closed } = heard(new WebSocket(url));
  assert.deepEqual(await closed, [['open'], ['message', 'a'], ['close', 1005, '', true]]);
  assert.deepEqual(
    frames(await answer).map(({ first, payload }) => [first, payload.length]),
    [[0x88, 0]],
  );
});

test('what a script answers to messages goes out before the answer to a Close frame or a fault behind them', async (t) => {
  for (const [last, code] of [
    [frame(CLOSE, closeBody(1000)), 1000],
    [frame(0xa1, 'RSV2'), 1002],
  ]) {
    let answer;
    const { url } = await frameServer(t, (socket) => {
      answer = all(socket);
      socket.end(Buffer.concat([frame(TEXT, 'one'), frame(TEXT, 'two'), last]));
    });
    const socket = new WebSocket(url);
    socket.onmessage = ({ data }) => socket.send(`${data} heard`);
    await next(socket, 'close');
    const list = frames(await answer);
    assert.deepEqual(
      list.slice(0, 2).map(({ payload }) => payload.toString()),
      ['one heard', 'two heard'],
    );
    assert.equal(list[2].payload.readUInt16BE(0), code);
    assert.equal(list.length, 3);
  }
});

test('a peer that ends without a Close frame', async (t) => {
  const broken = [['open'], ['error'], ['close', 1006, '', false]];
  const ended = await frameServer(t, (socket) => socket.end());
  assert.deepEqual(await heard(new WebSocket(ended.url)).closed, broken);
  const cut = await frameServer(t, (socket) => socket.end(Buffer.from([0x81, 5, 0x61])));
  assert.deepEqual(await heard(new WebSocket(cut.url)).closed, broken);
  const reset = await frameServer(t, (socket) => {
    socket.write(Buffer.from([0x82, 126, 255]), () => socket.resetAndDestroy());
  });
  assert.deepEqual(await heard(new WebSocket(reset.url)).closed, broken);
});

test('a peer that never answers a Close frame is left after the time limit', async (t) => {
  const { url } = await frameServer(t, (socket) => socket.resume());
  const socket = new WebSocket(url, { closeTimeoutMs: 50 });
  const { closed } = heard(socket);
  socket.addEventListener('open', () => socket.close(1000));
  assert.deepEqual(await closed, [['open'], ['close', 1006, '', false]]);
});

test("a server's closeTimeoutMs", async (t) => {
  const accepted = async (options) => {
    const { server, port } = await listening(t, () => {}, options);
    await frameClient(t, port);
    while (server.clients.size < 1) await new Promise(setImmediate);
    return [...server.clients][0];
  };
  const patient = await accepted({ closeTimeoutMs: 600_000 });
  const hasty = await accepted({ closeTimeoutMs: 50 });
  const { closed } = heard(hasty);
  patient.close(1000);
  hasty.close(1000);
  assert.deepEqual(await closed, [['close', 1006, '', false]]);
  assert.equal(patient.readyState, WebSocket.CLOSING);
});

test('a peer that never reads is left after the time limit, at either end', async (t) => {
  const fill = (socket) => {
    while (socket.bufferedAmount < 1 << 26) socket.send(new Uint8Array(1 << 20));
    socket.close(1000);
  };
  const { url } = await frameServer(t, (socket) => socket.pause());
  const near = new WebSocket(url, { closeTimeoutMs: 50 });
  const ofClient = heard(near);
  await next(near, 'open');
  fill(near);
  assert.equal(near.readyState, WebSocket.CLOSING);
  assert.deepEqual((await ofClient.closed).at(-1), ['close', 1006, '', false]);
  // What it did not take stays in the account.
  assert.ok(near.bufferedAmount > 0);
  const { server, port } = await listening(t, () => {}, { closeTimeoutMs: 50 });
  (await frameClient(t, port)).pause();
  while (server.clients.size < 1) await new Promise(setImmediate);
  const [far] = server.clients;
  const ofServer = heard(far);
  fill(far);
  assert.deepEqual((await ofServer.closed).at(-1), ['close', 1006, '', false]);
});

test('a server answers Close frames and ends the connection first', async (t) => {
  let atServer;
  const { port } = await listening(t, (socket) => {
    atServer = heard(socket).closed;
  });
  const client = await frameClient(t, port);
  const bytes = all(client);
  client.write(frame(CLOSE, closeBody(4000, 'bye'), { mask: [1, 2, 3, 4] }));
  assert.equal(closeCode(await bytes), 4000);
  assert.deepEqual(await atServer, [['close', 4000, 'bye', true]]);
});
