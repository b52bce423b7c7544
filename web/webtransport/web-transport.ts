// https://www.w3.org/TR/webtransport/#webtransport

import { defineNodeMembers } from '../node-members.js';
import { defineInterface, dictionary, USVString, unsignedLong } from '../webidl.js';
import type { WebTransportBidirectionalStream } from './bidirectional-stream.js';
import { gatherStats, type WebTransportConnectionStats } from './connection-stats.js';
import { WebTransportDatagramDuplexStream } from './datagrams.js';
import { Observer } from './diagnostics.js';
import { exportKeyingMaterial } from './keying-material.js';
import { anticipatedStreams, blocked, convertArguments } from './options.js';
import type { WebTransportReceiveStream } from './receive-stream.js';
import { createSendGroup, type WebTransportSendGroup, WebTransportSendStreamOptions } from './send-group.js';
import type { WebTransportSendStream } from './send-stream.js';
import { type CloseInfo, Session } from './session.js';

const WebTransportCloseInfo = dictionary('WebTransportCloseInfo', {
  closeCode: { type: unsignedLong(), default: () => 0 },
  reason: { type: USVString, default: () => '' },
});

/** Shows an accepted session as a WebTransport. */
let adopt: (session: Session, url: string) => WebTransport;

/** A session, and where it is or was asked for. */
interface Shown {
  readonly session: Session;
  readonly url: string;
}

/** The session that the next `new WebTransport` shows instead of connecting; for `adopt` only. */
let adopted: Shown | undefined;

export class WebTransport {
  readonly #session: Session;
  #datagrams: WebTransportDatagramDuplexStream | undefined;

  constructor(...given: unknown[]) {
    const { session, url } = adopted ?? connect(given);
    this.#session = session;
    session.observe(new Observer(this, url));
  }

  static {
    adopt = (session, url) => {
      adopted = { session, url };
      try {
        return new WebTransport();
      } finally {
        adopted = undefined;
      }
    };
  }

  async getStats(): Promise<WebTransportConnectionStats> {
    return gatherStats(this.#session);
  }

  async exportKeyingMaterial(...given: unknown[]): Promise<Uint8Array<ArrayBuffer>> {
    return exportKeyingMaterial(this.#session, given);
  }

  get ready(): Promise<undefined> {
    return #session in this ? this.#session.ready : illegalInvocation();
  }

  get reliability(): 'pending' | 'reliable-only' | 'supports-unreliable' {
    return this.#session.reliability;
  }

  get congestionControl(): 'default' | 'throughput' | 'low-latency' {
    return this.#session.preferences.congestionControl;
  }

  get anticipatedConcurrentIncomingUnidirectionalStreams(): number | null {
    return this.#session.preferences.anticipatedUnidirectional;
  }

  set anticipatedConcurrentIncomingUnidirectionalStreams(value: unknown) {
    const converted = anticipatedStreams(value, 'anticipatedConcurrentIncomingUnidirectionalStreams');
    this.#session.preferences.anticipatedUnidirectional = converted;
    this.#session.anticipate();
  }

  get anticipatedConcurrentIncomingBidirectionalStreams(): number | null {
    return this.#session.preferences.anticipatedBidirectional;
  }

  set anticipatedConcurrentIncomingBidirectionalStreams(value: unknown) {
    const converted = anticipatedStreams(value, 'anticipatedConcurrentIncomingBidirectionalStreams');
    this.#session.preferences.anticipatedBidirectional = converted;
    this.#session.anticipate();
  }

  get responseHeaders(): Headers | null {
    return this.#session.responseHeaders;
  }

  get protocol(): string {
    return this.#session.protocol;
  }

  get closed(): Promise<CloseInfo> {
    return #session in this ? this.#session.closed : illegalInvocation();
  }

  get draining(): Promise<undefined> {
    return #session in this ? this.#session.draining : illegalInvocation();
  }

  close(closeInfo: unknown = {}): void {
    const { closeCode, reason } = WebTransportCloseInfo(closeInfo, "Failed to execute 'close': closeInfo");
    this.#session.close(closeCode, reason);
  }

  get datagrams(): WebTransportDatagramDuplexStream {
    this.#datagrams ??= new WebTransportDatagramDuplexStream(this.#session.datagrams);
    return this.#datagrams;
  }

  async createBidirectionalStream(options?: unknown): Promise<WebTransportBidirectionalStream> {
    const converted = WebTransportSendStreamOptions(options, "'createBidirectionalStream': options");
    return this.#session.createBidirectionalStream(converted);
  }

  get incomingBidirectionalStreams(): ReadableStream<WebTransportBidirectionalStream> {
    return this.#session.incomingBidirectionalStreams;
  }

  async createUnidirectionalStream(options?: unknown): Promise<WebTransportSendStream> {
    const converted = WebTransportSendStreamOptions(options, "'createUnidirectionalStream': options");
    return this.#session.createUnidirectionalStream(converted);
  }

  get incomingUnidirectionalStreams(): ReadableStream<WebTransportReceiveStream> {
    return this.#session.incomingUnidirectionalStreams;
  }

  createSendGroup(): WebTransportSendGroup {
    return createSendGroup(this.#session);
  }

  static get supportsReliableOnly(): boolean {
    return false;
  }

  ref(): void {
    this.#session.ref();
  }

  unref(): void {
    this.#session.unref();
  }
}

export { adopt };

defineInterface(WebTransport, {
  constructorLength: 1,
  lengths: { close: 0, createBidirectionalStream: 0, createUnidirectionalStream: 0, exportKeyingMaterial: 3 },
});
defineNodeMembers(WebTransport, {
  shown: ({ reliability, congestionControl, protocol }) => ({ reliability, congestionControl, protocol }),
  // How it ended is for those who ask.
  ended: (transport) => transport.closed.catch(() => {}),
});

/** A promise-typed attribute of another object rejects. https://webidl.spec.whatwg.org/#dfn-attribute-getter */
function illegalInvocation(): Promise<never> {
  return Promise.reject(new TypeError('Illegal invocation: not a WebTransport'));
}

function connect(given: readonly unknown[]): Shown {
  const { connect: options, preferences } = convertArguments(given);
  const reason = blocked(options);
  const session = reason === undefined ? Session.connect(options, preferences) : Session.blocked(reason, preferences);
  return { session, url: `https://${options.authority}${options.path}` };
}
