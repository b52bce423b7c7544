// RTCSctpTransport. https://w3c.github.io/webrtc-pc/#rtcsctptransport-interface

import { defineEventHandlers, Event, EventTarget } from '../event-target.js';
import { defineInterface, illegalConstructor } from '../webidl.js';
import type { RTCDtlsTransport } from './dtls-transport.js';
import { countListeners } from './liveness.js';
import { KEY } from './task.js';

export type SctpTransportState = 'connecting' | 'connected' | 'closed';

export const SCTP_TRANSPORT_EVENTS = ['statechange'] as const;

/** The largest message that the native core sends and receives, in bytes. */
export const MAX_MESSAGE_SIZE = 262_144;

/** What the bundle's transport does to the object that scripts see. */
export let sctpSteps: {
  setState(transport: RTCSctpTransport, state: SctpTransportState): boolean;
  setMaxChannels(transport: RTCSctpTransport, maxChannels: number): void;
  /** `remote` is the peer's a=max-message-size, 0 for none. */
  updateMaxMessageSize(transport: RTCSctpTransport, remote: number): void;
  fireStateChange(transport: RTCSctpTransport): void;
};

export class RTCSctpTransport extends EventTarget {
  readonly #transport: RTCDtlsTransport;
  #state: SctpTransportState = 'connecting';
  #maxMessageSize: number | null = null;
  #maxChannels: number | null = null;

  constructor(key: symbol, transport: RTCDtlsTransport) {
    if (key !== KEY) throw illegalConstructor();
    super();
    this.#transport = transport;
  }

  get transport(): RTCDtlsTransport {
    return this.#transport;
  }

  get state(): SctpTransportState {
    return this.#state;
  }

  get maxMessageSize(): number | null {
    return this.#maxMessageSize;
  }

  get maxChannels(): number | null {
    return this.#maxChannels;
  }

  static {
    defineEventHandlers(RTCSctpTransport, SCTP_TRANSPORT_EVENTS, (value) => #state in value);
    sctpSteps = {
      setState(transport, state) {
        if (transport.#state === state) return false;
        transport.#state = state;
        return true;
      },
      setMaxChannels(transport, maxChannels) {
        transport.#maxChannels = maxChannels;
      },
      updateMaxMessageSize(transport, remote) {
        // https://w3c.github.io/webrtc-pc/#dfn-update-the-data-max-message-size
        transport.#maxMessageSize = remote === 0 ? MAX_MESSAGE_SIZE : Math.min(remote, MAX_MESSAGE_SIZE);
      },
      fireStateChange(transport) {
        transport.dispatchEvent(new Event('statechange'));
      },
    };
  }
}

defineInterface(RTCSctpTransport, { constructorLength: 0 });
countListeners(RTCSctpTransport);
