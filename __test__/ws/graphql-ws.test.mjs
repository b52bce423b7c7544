// graphql-ws, unmodified: its client over our classes, its server on our WebSocketServer; the other end on `ws` too.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { buildSchema } from 'graphql';
import { createClient } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocket as Standard } from 'webwire';
import { ours, serve, theirs } from '../helpers/ws.mjs';

const schema = buildSchema(`
  type Query { greeting(name: String!): String! }
  type Subscription { countdown(from: Int!): Int! forever: Int! }
`);

/** A server of graphql-ws; `ended` resolves when a subscription without an end was given up. */
async function graphql(t, implementation) {
  let end = () => {};
  const ended = new Promise((resolve) => {
    end = resolve;
  });
  const roots = {
    query: { greeting: ({ name }) => `Hello ${name}` },
    subscription: {
      async *countdown({ from }) {
        for (let countdown = from; countdown > 0; countdown--) yield { countdown };
      },
      async *forever() {
        try {
          for (let forever = 0; ; forever++) {
            yield { forever };
            await new Promise(setImmediate);
          }
        } finally {
          end();
        }
      },
    },
  };
  const { server, url } = await serve(t, implementation);
  const disposable = useServer({ schema, roots, connectionInitWaitTimeout: 0 }, server);
  return { url, ended, server, disposable };
}

function client(t, url, webSocketImpl, options = {}) {
  const made = createClient({ url, webSocketImpl, retryAttempts: 0, ...options });
  t.after(() => made.dispose());
  return made;
}

async function exercise(made, ended) {
  const answers = [];
  for await (const { data } of made.iterate({ query: '{ greeting(name: "Ähre") }' })) answers.push(data.greeting);
  assert.deepEqual(answers, ['Hello Ähre']);
  const counted = [];
  for await (const { data } of made.iterate({ query: 'subscription { countdown(from: 200) }' })) {
    counted.push(data.countdown);
  }
  assert.deepEqual(
    counted,
    Array.from({ length: 200 }, (_, index) => 200 - index),
  );
  for await (const { data } of made.iterate({ query: 'subscription { forever }' })) if (data.forever === 5) break;
  await ended;
  const wrong = made.iterate({ query: '{ nothing }' });
  await assert.rejects(wrong.next(), ([error]) => /Cannot query field "nothing"/.test(error.message));
}

for (const [name, webSocketImpl, implementation] of [
  ["ours, server on ws's", ours.WebSocket, theirs],
  ["ws's, server on ours", theirs.WebSocket, ours],
  ['ours, both ends', ours.WebSocket, ours],
  ["the standard's, server on ours", Standard, ours],
]) {
  test(`queries and subscriptions: the client's WebSocket is ${name}`, async (t) => {
    // Where graphql-ws says that something went wrong within.
    const complaints = t.mock.method(console, 'error');
    const { url, ended, server } = await graphql(t, implementation);
    const made = client(t, url, webSocketImpl, { lazy: false, lazyCloseTimeout: 0 });
    await exercise(made, ended);
    const [socket] = server.clients;
    const closed = once(socket, 'close');
    await made.dispose();
    assert.deepEqual(await closed, [1000, Buffer.from('Normal Closure')]);
    assert.equal(complaints.mock.callCount(), 0);
  });
}

test('a subprotocol that graphql-ws does not know closes with its own code', async (t) => {
  const { url } = await graphql(t, ours);
  const socket = new ours.WebSocket(url, 'unknown');
  const [error] = await once(socket, 'error');
  assert.equal(error.code, 'ERR_HANDSHAKE_PROTOCOL');
  const bare = new ours.WebSocket(url);
  const [code, reason] = await once(bare, 'close');
  assert.deepEqual([code, reason.toString()], [4406, 'Subprotocol not acceptable']);
});

test('disposing of the server closes its clients with 1001', async (t) => {
  const { url, disposable } = await graphql(t, ours);
  const events = [];
  const closed = new Promise((resolve) => {
    client(t, url, ours.WebSocket, {
      lazy: false,
      onNonLazyError: (error) => events.push(error.code),
      on: {
        connected: () => disposable.dispose(),
        closed: ({ code, reason }) => resolve([code, reason]),
      },
    });
  });
  assert.deepEqual(await closed, [1001, 'Going away']);
});
