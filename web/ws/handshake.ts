// An opening handshake at a WebSocketServer of `ws`, before it is accepted: what is wrong with it, and the answer to it.
// What a script gives for the answer is checked: nothing in it may end a line, or frame what follows.
// https://www.rfc-editor.org/rfc/rfc6455#section-4.2

import { createHash } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { NOT_IN_A_VALUE, TOKEN } from '../http-header.js';
import { refusal } from '../websocket/server-diagnostics.js';
import { refuse } from '../websocket/upgrade.js';

const KEY = /^[+/0-9A-Za-z]{22}==$/;
/** Headers of a 101 that the native core writes itself. */
const OURS = /^(upgrade|connection|sec-websocket-(accept|protocol|extensions))$/i;
/** Headers that say where an answer ends. */
const FRAMING = /^(connection|content-length|transfer-encoding)$/i;
const VERSION = '13';
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Why a request is refused: an HTTP status, a code for the operator, and what is told. */
export interface Fault {
  readonly status: number;
  readonly code: 'ERR_HANDSHAKE_REQUEST' | 'ERR_HANDSHAKE_ANSWER';
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const HOOK_FAILED = refusal(500, 'ERR_REQUEST_HOOK', 'a hook has thrown');

function badRequest(message: string, status = 400): Fault {
  return { status, code: 'ERR_HANDSHAKE_REQUEST', message };
}

/** The answer that a script's hook wants can't be written: its client must not suffer from more than that. */
export function badAnswer(message: string): Fault {
  return { status: 500, code: 'ERR_HANDSHAKE_ANSWER', message };
}

/** What makes a request no opening handshake. */
export function faultOf(request: IncomingMessage): Fault | undefined {
  const { headers, method } = request;
  if (method !== 'GET') return badRequest('Invalid HTTP method', 405);
  if (headers.upgrade?.toLowerCase() !== 'websocket') return badRequest('Invalid Upgrade header');
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) return badRequest('Missing or invalid Sec-WebSocket-Key header');
  if (headers['sec-websocket-version'] !== VERSION) {
    const fault = badRequest('Missing or invalid Sec-WebSocket-Version header');
    return { ...fault, headers: { 'Sec-WebSocket-Version': VERSION } };
  }
  return undefined;
}

/** The subprotocols that the client offers, in its order; or what is wrong with the header. */
export function protocolsOf(request: IncomingMessage): Set<string> | Fault {
  const header = request.headers['sec-websocket-protocol'];
  const protocols = new Set<string>();
  if (header === undefined) return protocols;
  for (const part of header.split(',')) {
    const protocol = part.trim();
    if (!TOKEN.test(protocol) || protocols.has(protocol)) return badRequest('Invalid Sec-WebSocket-Protocol header');
    protocols.add(protocol);
  }
  return protocols;
}

/**
 * What `handleProtocols` has chosen, '' for none; undefined for what is no subprotocol. One that the client does not
 * offer is sent, as `ws` does: the client then fails the connection.
 */
export function chosenProtocol(chosen: unknown): string | undefined {
  const protocol = chosen ? `${chosen}` : '';
  return protocol === '' || TOKEN.test(protocol) ? protocol : undefined;
}

/** The lines of a 101 as the listeners for `headers` see them and may add to them. */
export function answerLines(request: IncomingMessage, protocol: string): string[] {
  const key = request.headers['sec-websocket-key'] ?? '';
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${createHash('sha1').update(`${key}${GUID}`).digest('base64')}`,
  ];
  if (protocol !== '') lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
  return lines;
}

/**
 * Lines of a 101 → names and values in turn, without its first line and what the native core writes itself; undefined if
 * one of them is no header line.
 */
export function addedHeaders(lines: readonly unknown[]): string[] | undefined {
  const added: string[] = [];
  for (const line of lines.slice(1)) {
    const text = `${line}`;
    const colon = text.indexOf(':');
    const [name, value] = [text.slice(0, colon), text.slice(colon + 1)];
    if (colon === -1 || !isHeader(name, value)) return undefined;
    // The native core writes a byte for each character, `ws` writes UTF-8.
    if (!OURS.test(name)) added.push(name, Buffer.from(value.trim()).toString('latin1'));
  }
  return added;
}

/** Answers with a status and ends the connection. */
export function abortHandshake(
  socket: Duplex,
  status: number,
  message = STATUS_CODES[status] ?? '',
  headers: Readonly<Record<string, string>> = {},
): void {
  // What frames the answer is ours, whatever the headers say.
  const lines = new Map([
    ['connection', 'Connection: close'],
    ['content-type', 'Content-Type: text/html'],
    ['content-length', `Content-Length: ${Buffer.byteLength(message)}`],
  ]);
  for (const [name, value] of Object.entries(headers)) {
    if (!FRAMING.test(name)) lines.set(name.toLowerCase(), `${name}: ${value}`);
  }
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines.values(), ''];
  refuse(socket, Buffer.from(`${head.join('\r\n')}\r\n${message}`));
}

/** The same with what `verifyClient` says. False: that can't be written, and nothing is. */
export function rejectClient(socket: Duplex, status: unknown, message: unknown, headers: unknown): boolean {
  const code = typeof status === 'string' ? Number(status) : status;
  // 1xx comes before an answer.
  if (typeof code !== 'number' || !Number.isInteger(code) || code < 200 || code > 999) return false;
  const converted: Record<string, string> = {};
  for (const [name, given] of Object.entries({ ...(headers as object | undefined) })) {
    const value = `${given}`;
    if (!isHeader(name, value)) return false;
    converted[name] = value;
  }
  abortHandshake(socket, code, message ? `${message}` : undefined, converted);
  return true;
}

function isHeader(name: string, value: string): boolean {
  return TOKEN.test(name) && !NOT_IN_A_VALUE.test(value);
}
