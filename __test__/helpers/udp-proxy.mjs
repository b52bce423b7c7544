// A UDP proxy on loopback that damages what passes, as a bad network does. What happens to the Nth packet of a direction
// depends on the seed, the direction and N alone. Nothing waits for time but `delayMs`: a packet that is reordered is sent
// behind the next one.

import { createSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';

/** A number from 0 to below 1, from integers: the finalizer of MurmurHash3 over each. */
function draw(...numbers) {
  let hash = 0x9e3779b9;
  for (const number of numbers) {
    hash = Math.imul(hash ^ number, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return (hash >>> 0) / 2 ** 32;
}

/** What IPv4 or IPv6, and UDP, put before a payload. */
const HEADERS = { udp4: 28, udp6: 48 };

const bound = async (family, address) => {
  const socket = createSocket(family).bind(0, address);
  await once(socket, 'listening');
  return socket;
};

/** One direction: decides what becomes of each packet. */
class Way {
  count = 0;
  #held;
  #number;
  #options;
  #stats;

  constructor(number, options, stats) {
    this.#number = number;
    this.#options = options;
    this.#stats = stats;
  }

  pass(packet, send) {
    const { seed, loss, duplicate, reorder, corrupt, delayMs, largest } = this.#options;
    const number = this.count;
    this.count += 1;
    const chance = (what) => draw(seed, this.#number, number, what);
    if (packet.length > largest()) {
      this.#stats.tooLarge += 1;
      return;
    }
    if (chance(1) < loss) {
      this.#stats.lost += 1;
      return;
    }
    if (chance(2) < corrupt) {
      this.#stats.corrupted += 1;
      packet[Math.floor(chance(3) * packet.length)] ^= 1 << (number % 8);
    }
    if (delayMs !== undefined) {
      this.#stats.delayed += 1;
      const [least, most] = delayMs;
      setTimeout(send, least + chance(6) * (most - least), packet);
      return;
    }
    if (this.#held === undefined && chance(4) < reorder) {
      this.#stats.reordered += 1;
      this.#held = packet;
      return;
    }
    send(packet);
    if (chance(5) < duplicate) {
      this.#stats.duplicated += 1;
      send(packet);
    }
    if (this.#held !== undefined) send(this.#held);
    this.#held = undefined;
  }
}

/**
 * Stands between one client and the server at `port`, and ends with the test `context`. Rates are probabilities. Packets that
 * are larger than `mtu`, which can be changed later, are dropped.
 * Emits `up` and `down` with each packet before it passes; a listener of `proxy.filter(direction, packet)` may drop it by
 * returning false.
 */
export async function startUdpProxy(context, port, options = {}) {
  const { address = '127.0.0.1', mtu = Infinity, ...rates } = options;
  const family = address.includes(':') ? 'udp6' : 'udp4';
  const largest = () => proxy.mtu - HEADERS[family];
  const set = { seed: 1, loss: 0, duplicate: 0, reorder: 0, corrupt: 0, largest, ...rates };
  const stats = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0, delayed: 0, tooLarge: 0 };
  const events = new EventEmitter();
  const sockets = new Set();
  const open = async () => {
    const socket = await bound(family, address);
    sockets.add(socket);
    return socket;
  };
  const near = await open();
  // Where the client sees the server.
  let front = near;
  let over = false;
  const ways = { up: new Way(0, set, stats), down: new Way(1, set, stats) };
  let client;
  let far;
  const proxy = {
    port: near.address().port,
    serverPort: port,
    events,
    stats,
    mtu,
    /** What returns false for a packet drops it. */
    filter: () => true,
    /** From now on the server sees another port of the client, as behind a NAT that forgot it. */
    async rebind() {
      const socket = await open();
      socket.on('message', (packet) => {
        if (far !== socket) return;
        events.emit('down', packet);
        if (client === undefined || !proxy.filter('down', packet)) return;
        ways.down.pass(packet, (data) => over || front.send(data, client.port, client.address));
      });
      far = socket;
      return socket.address().port;
    },
    /** From now on what the server sends comes from another port; what is sent to the old one still arrives. */
    async moveServer() {
      front = await open();
    },
    /** Sends a packet to the server from where it sees the client. */
    sendUp: (packet) => far.send(packet, port, address),
    /** Sends a packet to the client. */
    sendDown: (packet) => near.send(packet, client.port, client.address),
  };
  await proxy.rebind();
  near.on('message', (packet, from) => {
    client = from;
    events.emit('up', packet);
    if (!proxy.filter('up', packet)) return;
    ways.up.pass(packet, (data) => over || far.send(data, port, address));
  });
  context.after(() => {
    over = true;
    for (const socket of sockets) socket.close();
  });
  return proxy;
}
