// A plain HTTP/3 request at a WebTransportServer: a web `Request` for the script's handler, whose `Response` is the answer.
// https://fetch.spec.whatwg.org/#request-class https://www.rfc-editor.org/rfc/rfc9114#section-4.1

import { deferred } from '../deferred.js';
import { DOMException } from '../errors.js';
import { type Dispatch, hub, type Registration } from '../hub.js';
import { CLIENT_TLS_FIELDS, type ClientTls, parseClientTls } from '../server-tls.js';
import { closeByteStream, ReadableStream } from '../streams.js';
import { BufferSource, isObject } from '../webidl.js';
import {
  DEFECT,
  FORBIDDEN,
  GIVEN_UP,
  GONE,
  HOOK_FAILED,
  LATE,
  NO_RESPONSE,
  NO_URL,
  NOT_SERVED,
  publishReject,
  type Refusal,
} from './diagnostics.js';
import { parseHeaders } from './headers.js';
import { Kind, type NativeListener, type NativeRequestStream } from './native.js';
import { type ServerAddress, serverAddress } from './request.js';
import type { OnRequest } from './server-options.js';

const { AbortController } = globalThis;

/** What is handed down at once: what the native core holds of an answer stays small. */
const PIECE = 64 * 1024;
/** The largest chunk of content that a read without a buffer of its own gets. */
const CHUNK = 64 * 1024;

/** What `new Request` refuses. https://fetch.spec.whatwg.org/#forbidden-method */
const FORBIDDEN_METHOD = /^(connect|trace|track)$/i;
/** https://fetch.spec.whatwg.org/#null-body-status */
const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304]);

/** The `a` of `RequestStreamEnded`: what the script is told, and the operator if there was no answer. */
const ENDS: readonly [message: string, name: string, refusal: Refusal][] = [
  ['the request has been answered', 'AbortError', GONE],
  ['an internal error ended the request', 'OperationError', DEFECT],
  ['the client has gone', 'AbortError', GONE],
  ['the time for an answer is up', 'TimeoutError', LATE],
  ['the answer was given up', 'AbortError', GIVEN_UP],
];
const ANSWERED = 0;

/** Who asks. */
export interface RequestInfo {
  readonly remoteAddress: ServerAddress;
  readonly tls: ClientTls;
}

/** As much of a `Response` as is used of it: a framework may have a class of its own. */
export interface Answer {
  readonly status: number;
  readonly headers: Iterable<[string, string]>;
  readonly body: ReadableStream<unknown> | null;
}

export function isResponse(value: unknown): value is Answer {
  if (!isObject(value)) return false;
  const { status, headers, body } = value as Partial<Answer>;
  return (
    Number.isInteger(status) &&
    isObject(headers) &&
    Symbol.iterator in headers &&
    (body === null || (isObject(body) && typeof (body as Partial<ReadableStream>).getReader === 'function'))
  );
}

/** Somebody has to hear of what a handler does wrong, and the process goes on. */
export function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}

export class PlainRequest {
  readonly #server: object;
  readonly #registration: Registration;
  readonly #native: NativeRequestStream | null;
  /** As the native core says it. */
  readonly #lines: readonly string[];
  /** What the script has heard of, until there is an answer. */
  #request: Request | undefined;
  /** There is an answer, or the operator knows why there is none of the script's. */
  #isDecided = false;
  readonly #gone = new AbortController();
  #content: ReadableByteStreamController | undefined;
  /** A write waits for room. */
  #room: { promise: Promise<void>; resolve(): void } | undefined;
  #reader: ReadableStreamDefaultReader<unknown> | undefined;
  /** Why nothing more comes. */
  #end: DOMException | undefined;

  /** The request that the listener of `server` knows as `key`; `text` is that of its event `PlainRequest`. */
  constructor(server: object, listener: NativeListener, key: number, text: string) {
    this.#server = server;
    this.#lines = text.split('\n');
    this.#registration = hub.register(this, PlainRequest.#dispatch);
    // The server keeps the process alive.
    this.#registration.unref();
    this.#native = listener.takeRequestStream(hub.native, this.#registration.id, key);
    if (this.#native !== null) return;
    this.#registration.close();
    this.#publishReject(GONE);
  }

  /** Answers it with what the script's hook returns. */
  async serve(empty: boolean, onRequest: OnRequest): Promise<void> {
    if (this.#native === null) return;
    const [method = '', authority, path, address = '', port, ...behind] = this.#lines;
    const tls = parseClientTls(behind.splice(0, CLIENT_TLS_FIELDS));
    const url = `https://${authority}${path}`;
    if (!URL.canParse(url)) return this.refuse(NO_URL);
    if (FORBIDDEN_METHOD.test(method)) return this.refuse(FORBIDDEN);
    const isBodiless = empty || method === 'GET' || method === 'HEAD';
    if (isBodiless) this.#native.stop();
    let answer: unknown;
    try {
      const request = new Request(url, {
        method,
        headers: parseHeaders(behind),
        signal: this.#gone.signal,
        ...(isBodiless ? {} : { body: this.#body(), duplex: 'half' }),
      } as RequestInit);
      this.#request = request;
      const info: RequestInfo = { remoteAddress: serverAddress(address, Number(port)), tls };
      answer = await onRequest(request as never, info as never);
    } catch (error) {
      // To fail with its client is no fault of the handler.
      if (this.#end === undefined) warn(error);
      return this.refuse(HOOK_FAILED);
    }
    if (answer === undefined) return this.refuse(NOT_SERVED);
    try {
      await this.#answer(answer, method === 'HEAD');
    } catch (error) {
      if (this.#end === undefined) warn(error);
      this.#native?.reset();
    }
  }

  /** An answer without content. */
  refuse(refusal: Refusal): void {
    this.#publishReject(refusal);
    this.#native?.stop();
    this.#native?.respond(refusal[0], []);
    this.#native?.finish();
  }

  #publishReject(refusal: Refusal): void {
    if (this.#isDecided) return;
    const request = this.#request;
    this.#decide();
    const [, , , address = '', port] = this.#lines;
    publishReject(this.#server, request, refusal, { address, port: Number(port) });
  }

  #decide(): void {
    this.#isDecided = true;
    this.#request = undefined;
  }

  async #answer(answer: unknown, isHead: boolean): Promise<void> {
    if (!isResponse(answer) || answer.status < 200 || answer.status > 599 || answer.body?.locked) {
      warn(new TypeError('onRequest did not return a Response that can be sent'));
      return this.refuse(NO_RESPONSE);
    }
    const { status, body } = answer;
    const headers = [...answer.headers];
    const native = this.#native;
    if (native === null || this.#end !== undefined) {
      await body?.cancel(this.#gone.signal.reason);
      return;
    }
    this.#decide();
    native.respond(status, headers.flat());
    if (body === null || isHead || NULL_BODY_STATUSES.has(status)) {
      native.finish();
      await body?.cancel();
      return;
    }
    const declared = headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1];
    const length = await this.#send(native, body);
    if (length === undefined) return;
    if (declared !== undefined && Number(declared) !== length) {
      throw new TypeError(`onRequest's answer has ${length} bytes and says ${declared}`);
    }
    native.finish();
  }

  /** Sends content as fast as the client takes it. Its length; `undefined` if the client has gone. */
  async #send(native: NativeRequestStream, body: ReadableStream<unknown>): Promise<number | undefined> {
    const reader = body.getReader();
    this.#reader = reader;
    let length = 0;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (this.#end !== undefined) return undefined;
        if (done) return length;
        const bytes = BufferSource(value, "a chunk of the answer's body");
        length += bytes.byteLength;
        for (let at = 0; at < bytes.byteLength && this.#end === undefined; at += PIECE) {
          if (!native.write(bytes.subarray(at, at + PIECE))) await this.#waitForRoom();
        }
        if (this.#end !== undefined) return undefined;
      }
    } catch (error) {
      reader.cancel(error).catch(() => {});
      throw error;
    } finally {
      this.#reader = undefined;
    }
  }

  #waitForRoom(): Promise<void> {
    this.#room = deferred<void>();
    return this.#room.promise;
  }

  #body(): ReadableStream {
    return new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        this.#content = controller as ReadableByteStreamController;
      },
      pull: () => this.#pull(),
      cancel: () => {
        this.#content = undefined;
        this.#native?.stop();
      },
    });
  }

  /** A read waits. What comes later than now is enqueued when `Readable` says so. */
  #pull(): void {
    const native = this.#native;
    const content = this.#content;
    if (native === null || content === undefined) return;
    const available = native.available();
    if (available === 0) {
      if (this.#end !== undefined) content.error(this.#end);
      return;
    }
    const request = content.byobRequest;
    if (available < 0) {
      this.#content = undefined;
      closeByteStream(content);
    } else if (request?.view) {
      const { buffer, byteOffset, byteLength } = request.view;
      request.respond(native.read(new Uint8Array(buffer, byteOffset, Math.min(available, byteLength))));
    } else {
      const bytes = new Uint8Array(Math.min(available, CHUNK));
      native.read(bytes);
      content.enqueue(bytes);
    }
  }

  #ended(how: number): void {
    const [message, name, refusal] = ENDS[how] ?? ['the request has ended', 'AbortError', GONE];
    const reason = new DOMException(message, name);
    this.#end = reason;
    this.#publishReject(refusal);
    // Content that has come is still there to be read.
    this.#pull();
    if (how !== ANSWERED) this.#gone.abort(reason);
    this.#room?.resolve();
    this.#reader?.cancel(reason).catch(() => {});
    this.#registration.close();
  }

  static #dispatch: Dispatch<PlainRequest> = (request, kind, a) => {
    switch (kind) {
      case Kind.Readable:
        request.#pull();
        break;
      case Kind.Writable:
        request.#room?.resolve();
        break;
      case Kind.RequestStreamEnded:
        request.#ended(a);
        break;
    }
  };
}
