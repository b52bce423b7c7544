// The clients of the soak.

import { WebSocket } from '../../index.mjs';
import { numbers } from '../helpers/random.mjs';
import { holdings, obey, tell } from './program.mjs';

const AT_ONCE = 200;
const held = [];

function opened(url) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error('the connection failed'));
  });
}

function closed(socket) {
  return new Promise((resolve) => socket.addEventListener('close', resolve, { once: true }));
}

/** Opens idle connections. */
async function hold({ url, count }) {
  while (held.length < count) {
    const batch = Math.min(AT_ONCE, count - held.length);
    held.push(...(await Promise.all(Array.from({ length: batch }, () => opened(url)))));
  }
}

async function release() {
  const began = performance.now();
  await Promise.all(
    held.map((socket) => {
      const end = closed(socket);
      socket.close();
      return end;
    }),
  );
  held.length = 0;
  return { ms: Math.round(performance.now() - began) };
}

/** One connection after the other until the time is up: connect, echo, end in one of several ways. */
async function churn(url, random, until, counts) {
  while (performance.now() < until) {
    let socket;
    try {
      socket = await opened(url);
    } catch {
      // The proxy has reset it.
      counts.failed += 1;
      continue;
    }
    const end = closed(socket);
    let reset = false;
    end.then(({ wasClean }) => {
      reset = !wasClean;
    });
    for (let left = random(5); left > 0; left -= 1) {
      const sent = new Uint8Array(random(3) === 0 ? random(20_000) : random(200)).fill(random(256));
      const echo = new Promise((resolve) => {
        socket.onmessage = ({ data }) => resolve(data);
      });
      socket.send(sent);
      const back = await Promise.race([echo, end]);
      if (!(back instanceof ArrayBuffer)) break;
      if (Buffer.compare(Buffer.from(back), sent) !== 0) counts.wrong += 1;
      counts.echoes += 1;
    }
    counts.connections += 1;
    // Some are closed with a message under way.
    if (random(4) === 0) socket.send('late');
    socket.close(1000, 'done');
    await end;
    if (reset) counts.reset += 1;
  }
}

async function work({ url, seconds, parallel, seed }) {
  const counts = { connections: 0, echoes: 0, failed: 0, reset: 0, wrong: 0 };
  const until = performance.now() + seconds * 1_000;
  await Promise.all(Array.from({ length: parallel }, (_, index) => churn(url, numbers(seed + index), until, counts)));
  return counts;
}

obey({ hold, release, work, holdings });
tell({});
