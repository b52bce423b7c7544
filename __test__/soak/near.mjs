// The clients of the soak.

import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from '../../index.mjs';
import { descriptors } from '../helpers/descriptors.mjs';
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

/**
 * One connection after the other until the time is up: connect, echo, end in one of several ways. Each has a URL of its own:
 * `broken` gets the paths of those that fail or end unclean.
 */
async function churn(url, name, random, until, counts, broken) {
  for (let number = 0; performance.now() < until; number += 1) {
    const path = `/${name}/${number}`;
    let socket;
    try {
      socket = await opened(new URL(path, url));
    } catch {
      counts.failed += 1;
      broken.push(path);
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
    if (reset) {
      counts.reset += 1;
      broken.push(path);
    }
  }
}

async function work({ url, seconds, parallel, seed }) {
  const counts = { connections: 0, echoes: 0, failed: 0, reset: 0, wrong: 0 };
  const until = performance.now() + seconds * 1_000;
  const broken = [];
  const one = (_, index) => churn(url, seed + index, numbers(seed + index), until, counts, broken);
  await Promise.all(Array.from({ length: parallel }, one));
  return { counts, broken };
}

/** Opens connections that nothing refers to, a thousand between two collections. */
async function drop({ url, count }) {
  const own = descriptors().length;
  for (let dropped = 0; dropped < count; dropped += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => openAndDrop(url)));
    if (descriptors().length > own + 1_000) await collected(own);
  }
  await collected(own);
}

async function openAndDrop(url) {
  const socket = await opened(url);
  // Listeners would keep it.
  socket.onopen = null;
  socket.onerror = null;
}

/** Resolves when this process has no more descriptors than this. */
async function collected(most) {
  while (descriptors().length > most) {
    globalThis.gc();
    await delay(10);
  }
}

/** Makes so many connections a second, and closes each when it is open. */
async function pace({ url, aSecond, seconds }) {
  const began = performance.now();
  const under = new Set();
  let made = 0;
  let most = 0;
  while (made < aSecond * seconds) {
    const due = Math.min(((performance.now() - began) / 1_000) * aSecond, aSecond * seconds);
    for (; made < due; made += 1) {
      const one = opened(url).then((socket) => {
        const end = closed(socket);
        socket.close();
        return end;
      });
      under.add(one);
      one.finally(() => under.delete(one));
    }
    most = Math.max(most, under.size);
    await delay(1);
  }
  await Promise.all(under);
  return { made, most, ms: Math.round(performance.now() - began) };
}

/** Sends one long message of zeros between two ones, and changes them behind the call. */
async function sendLong({ url, length }) {
  const socket = await opened(url);
  const data = new Uint8Array(length);
  data[0] = 1;
  data[length - 1] = 1;
  socket.send(data);
  data[0] = 2;
  data[length - 1] = 2;
  const buffered = socket.bufferedAmount;
  const end = closed(socket);
  socket.close();
  const { wasClean } = await end;
  return { buffered, left: socket.bufferedAmount, wasClean };
}

obey({ hold, release, work, drop, pace, sendLong, holdings });
tell({});
