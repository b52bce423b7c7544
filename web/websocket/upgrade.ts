// An upgrade that Node's http server has heard: its socket goes to the native core.
// https://nodejs.org/api/http.html#event-upgrade_1

import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { ClientTls } from '../server-tls.js';
import { Carrier, type DuplexStream } from './carrier.js';
import type { Cause } from './diagnostics.js';
import type { RequestHead } from './request.js';
import { GONE, NO_DESCRIPTOR, refusedWith } from './server-diagnostics.js';

/** Streams that carry a WebSocket. */
const carrying = new WeakSet<Duplex>();

/** Whether a stream has been taken over, and so is nobody else's. */
export const isCarrying = (socket: Duplex): boolean => carrying.has(socket);

/** The head of a request, as the native core checks it. */
interface Upgrade {
  method: string;
  target: string;
  version: string;
  headers: string[];
}

/** What takes over: a number for the request, or the answer that refuses it. */
export interface Adopting {
  takeOver?(descriptor: number, upgrade: Upgrade, rest: Uint8Array): number | Uint8Array;
  carry(stream: DuplexStream, upgrade: Upgrade, rest: Uint8Array): number | Uint8Array;
}

/** What http has parsed, or what a framework has made of it. */
function headOf(request: IncomingMessage): Upgrade {
  const headers: string[] = [];
  if (request.rawHeaders?.length > 0) headers.push(...request.rawHeaders);
  else {
    for (const [name, value] of Object.entries(request.headers)) {
      for (const one of Array.isArray(value) ? value : [value ?? '']) headers.push(name, one);
    }
  }
  return { method: request.method ?? '', target: request.url ?? '', version: request.httpVersion, headers };
}

/** All that Node has read behind the request. */
function restOf(socket: Duplex, head: Uint8Array): Uint8Array {
  const parts = [head];
  for (let part = socket.read(); part !== null; part = socket.read()) parts.push(part);
  return parts.length === 1 ? head : Buffer.concat(parts);
}

/** The descriptor of a socket that is nothing but that, and has nothing left to write. */
function descriptorOf(socket: Duplex): number | undefined {
  if (Object.getPrototypeOf(socket) !== Socket.prototype || socket.writableLength > 0) return undefined;
  const descriptor = (socket as { _handle?: { fd?: unknown } })._handle?.fd;
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined;
}

/**
 * Gives the socket of an upgrade to `adopting`, in one step, so that no byte is read twice or lost. Returns the request's
 * number and head; undefined when the request is not one for a WebSocket and has been told so, or its client has gone:
 * `refused` hears why.
 */
export function takeOver(
  adopting: Adopting,
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  refused: (cause: Cause) => void,
): { number: number; head: RequestHead } | undefined {
  if (!socket.readable || !socket.writable) {
    socket.destroy();
    refused(GONE);
    return undefined;
  }
  const upgrade = headOf(request);
  const { remoteAddress, remoteFamily, remotePort } = socket as Socket;
  const taken: RequestHead = {
    target: upgrade.target,
    remoteAddress:
      remoteAddress === undefined || remotePort === undefined
        ? undefined
        : { address: unmapped(remoteAddress), family: familyOf(remoteAddress, remoteFamily), port: remotePort },
    protocols: valuesOf(upgrade.headers, 'sec-websocket-protocol'),
    lines: upgrade.headers,
    tls: tlsOf(socket),
  };
  const descriptor = descriptorOf(socket);
  if (descriptor !== undefined && adopting.takeOver !== undefined) {
    const rest = restOf(socket, head);
    let answer: number | Uint8Array;
    try {
      answer = adopting.takeOver(descriptor, upgrade, rest);
    } catch {
      // The machine has no more descriptors: this connection fails.
      socket.destroy();
      refused(NO_DESCRIPTOR);
      return undefined;
    }
    if (typeof answer !== 'number') {
      refused(refusedWith(answer));
      return refuse(socket, answer);
    }
    // Remembered by Node once they have been asked for; whoever logs the request's socket later still finds them.
    void (socket as Socket).localAddress;
    socket.destroy();
    return { number: answer, head: taken };
  }
  const carrier = new Carrier(socket);
  carrying.add(socket);
  const answer = adopting.carry(carrier.native, upgrade, restOf(socket, head));
  if (typeof answer !== 'number') {
    carrier.cancel();
    carrying.delete(socket);
    refused(refusedWith(answer));
    return refuse(socket, answer);
  }
  carrier.start();
  return { number: answer, head: taken };
}

/** Answers on a socket that stays Node's, and ends it. */
export function refuse(socket: Duplex, answer: Uint8Array): undefined {
  // A client that resets the connection has its answer or does not want it.
  socket.on('error', () => socket.destroy());
  socket.once('finish', () => socket.destroy());
  socket.end(answer);
  return undefined;
}

function isTls(socket: Duplex): socket is TLSSocket {
  if ((socket as { encrypted?: unknown }).encrypted !== true) return false;
  return socket instanceof process.getBuiltinModule('node:tls').TLSSocket;
}

/** What Node's TLS says of the client. */
function tlsOf(socket: Duplex): ClientTls | undefined {
  if (!isTls(socket)) return undefined;
  const { servername } = socket as { servername?: unknown };
  return {
    servername: typeof servername === 'string' ? servername : '',
    protocol: socket.getProtocol() ?? '',
    authorized: socket.authorized,
    peerCertificate: socket.getPeerX509Certificate(),
  };
}

function valuesOf(lines: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < lines.length; i += 2) {
    if (lines[i]?.toLowerCase() === name) values.push(...(lines[i + 1] ?? '').split(',').map((one) => one.trim()));
  }
  return values;
}

/** An IPv4 client of a socket that listens on all addresses. */
function unmapped(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

function familyOf(address: string, family: string | undefined): 'IPv4' | 'IPv6' {
  return family === 'IPv4' || address !== unmapped(address) ? 'IPv4' : 'IPv6';
}
