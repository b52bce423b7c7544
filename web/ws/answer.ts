// What a server has answered to the opening handshake, as the objects of Node's http that `ws` emits.
// https://github.com/websockets/ws/blob/master/doc/ws.md#event-upgrade

import { type ClientRequest, IncomingMessage, request as sendRequest } from 'node:http';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Connection } from '../websocket/native.js';

/** Headers of which Node's http takes the first line only; it joins those of all others. */
const SINGLE = new Set(
  (
    'age authorization content-length content-type etag expires from host if-modified-since if-unmodified-since ' +
    'last-modified location max-forwards proxy-authorization referer retry-after server user-agent'
  ).split(' '),
);

/** The answer 101, which has no body. Its socket is not the connection's: that is the native core's. */
export function upgradeResponse(head: string): IncomingMessage {
  const message = new IncomingMessage(new Socket());
  // Interim answers come before it.
  const lines = (head.split('\r\n\r\n').at(-2) ?? '').split('\r\n');
  const [, status = '101', text = ''] = /^HTTP\/1\.1 (\d+) ?(.*)$/.exec(lines.shift() ?? '') ?? [];
  message.statusCode = Number(status);
  message.statusMessage = text;
  message.httpVersion = '1.1';
  message.httpVersionMajor = 1;
  message.httpVersionMinor = 1;
  message.rawHeaders = [];
  message.headers = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    message.rawHeaders.push(name, value);
    addHeader(message.headers, name.toLowerCase(), value);
  }
  message.complete = true;
  message.push(null);
  return message;
}

function addHeader(headers: IncomingMessage['headers'], name: string, value: string): void {
  const known = headers[name];
  if (name === 'set-cookie') headers[name] = [...(headers[name] ?? []), value];
  else if (known === undefined) headers[name] = value;
  else if (!SINGLE.has(name)) headers[name] = `${known}, ${value}`;
}

/** What the request was made with, as far as it concerns the answer. */
export interface Asked {
  readonly host: string;
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
}

/** What becomes of the answer. */
interface Hearing {
  heard(request: ClientRequest, response: IncomingMessage): void;
  /** It is none that Node's http understands. */
  failed(error: Error): void;
}

/** Stands for the connection's socket under Node's http, which parses the answer. What http writes has been sent already. */
export class AnswerSocket extends Duplex {
  readonly #connection: Connection;

  constructor(connection: Connection, { host, path, headers }: Asked, hearing: Hearing) {
    super();
    this.#connection = connection;
    const lines: Record<string, string[]> = { Host: [host], Connection: ['Upgrade'], Upgrade: ['websocket'] };
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const [name = '', value = ''] = headers.slice(i, i + 2);
      lines[name] = [...(lines[name] ?? []), value];
    }
    const request = sendRequest({ createConnection: () => this, path, headers: lines, setHost: false });
    request.on('response', (response) => hearing.heard(request, response));
    request.on('error', (error) => hearing.failed(error));
    request.end();
  }

  /** More of the answer has come; with nothing, it has ended. */
  add(bytes: Uint8Array | null): void {
    if (!this.destroyed && !this.push(bytes)) this.#connection.pause();
  }

  override _read(): void {
    this.#connection.resume();
  }

  override _write(_chunk: unknown, _encoding: string, callback: () => void): void {
    callback();
  }

  /** Http has the whole answer. */
  override _final(callback: () => void): void {
    this.#connection.abort();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#connection.abort();
    callback(error);
  }
}
