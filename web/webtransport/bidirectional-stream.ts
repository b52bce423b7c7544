// https://www.w3.org/TR/webtransport/#bidirectional-stream

import { defineInterface, illegalConstructor } from '../webidl.js';
import type { StreamIds } from './halves.js';
import { createReceiveStream, type WebTransportReceiveStream } from './receive-stream.js';
import type { SendPlaceOptions } from './send-group.js';
import { createSendStream, type WebTransportSendStream } from './send-stream.js';
import type { Session } from './session.js';

/** Both halves on their way into a new stream. */
class Halves {
  readonly readable: WebTransportReceiveStream;
  readonly writable: WebTransportSendStream;

  constructor(readable: WebTransportReceiveStream, writable: WebTransportSendStream) {
    this.readable = readable;
    this.writable = writable;
  }
}

export class WebTransportBidirectionalStream {
  readonly #halves: Halves;

  constructor(halves?: unknown) {
    if (!(halves instanceof Halves)) throw illegalConstructor();
    this.#halves = halves;
  }

  get readable(): WebTransportReceiveStream {
    return this.#halves.readable;
  }

  get writable(): WebTransportSendStream {
    return this.#halves.writable;
  }
}

defineInterface(WebTransportBidirectionalStream, { constructorLength: 0 });

export function createBidirectionalStream(
  session: Session,
  ids: StreamIds,
  options?: SendPlaceOptions,
): WebTransportBidirectionalStream {
  const readable = createReceiveStream(session, ids);
  return new WebTransportBidirectionalStream(new Halves(readable, createSendStream(session, ids, options)));
}
