// An opening handshake at a WebSocketServer of `ws`, before it is accepted: what is wrong with it, and the answer to that.
// https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1

import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { refuse } from '../websocket/upgrade.js';

const KEY = /^[+/0-9A-Za-z]{22}==$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VERSION = '13';

/** Why a request is refused: an HTTP status, and what is told. */
export interface Fault {
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What makes a request no opening handshake. */
export function faultOf(request: IncomingMessage): Fault | undefined {
  const { headers, method } = request;
  if (method !== 'GET') return { status: 405, message: 'Invalid HTTP method' };
  if (headers.upgrade?.toLowerCase() !== 'websocket') return { status: 400, message: 'Invalid Upgrade header' };
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) {
    return { status: 400, message: 'Missing or invalid Sec-WebSocket-Key header' };
  }
  if (headers['sec-websocket-version'] !== VERSION) {
    const message = 'Missing or invalid Sec-WebSocket-Version header';
    return { status: 400, message, headers: { 'Sec-WebSocket-Version': VERSION } };
  }
  return undefined;
}

/** The subprotocols that the client offers, in its order; undefined if the header is wrong. */
export function protocolsOf(request: IncomingMessage): Set<string> | undefined {
  const header = request.headers['sec-websocket-protocol'];
  const protocols = new Set<string>();
  if (header === undefined) return protocols;
  for (const part of header.split(',')) {
    const protocol = part.trim();
    if (!TOKEN.test(protocol) || protocols.has(protocol)) return undefined;
    protocols.add(protocol);
  }
  return protocols;
}

/** Answers with a status and ends the connection. */
export function abortHandshake(socket: Duplex, status: number, message?: string, headers?: object): void {
  const body = message ?? STATUS_CODES[status] ?? '';
  const all = {
    Connection: 'close',
    'Content-Type': 'text/html',
    'Content-Length': Buffer.byteLength(body),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  refuse(socket, Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`));
}

/** Lines of the answer → names and values in turn, without its first line and what the native core writes itself. */
export function addedHeaders(lines: readonly string[]): string[] {
  const added: string[] = [];
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).trim();
    if (colon > 0 && !/^(upgrade|connection|sec-websocket-(accept|protocol|extensions))$/i.test(name)) {
      added.push(name, line.slice(colon + 1).trim());
    }
  }
  return added;
}
