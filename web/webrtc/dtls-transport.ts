// RTCDtlsTransport. https://w3c.github.io/webrtc-pc/#rtcdtlstransport-interface

import { defineEventHandlers, Event, EventTarget } from '../event-target.js';
import { defineInterface, illegalConstructor } from '../webidl.js';
import type { RTCIceTransport } from './ice-transport.js';
import { countListeners } from './liveness.js';
import { type RTCError, RTCErrorEvent } from './rtc-error.js';
import { KEY } from './task.js';

export type DtlsTransportState = 'new' | 'connecting' | 'connected' | 'closed' | 'failed';

export const DTLS_TRANSPORT_EVENTS = ['statechange', 'error'] as const;

/** What the bundle's transport does to the object that scripts see. */
export let dtlsSteps: {
  setState(transport: RTCDtlsTransport, state: DtlsTransportState): boolean;
  setRemoteCertificate(transport: RTCDtlsTransport, certificate: ArrayBuffer): void;
  fireStateChange(transport: RTCDtlsTransport): void;
  fireError(transport: RTCDtlsTransport, error: RTCError): void;
};

export class RTCDtlsTransport extends EventTarget {
  readonly #iceTransport: RTCIceTransport;
  #state: DtlsTransportState = 'new';
  #remoteCertificates: ArrayBuffer[] = [];

  constructor(key: symbol, iceTransport: RTCIceTransport) {
    if (key !== KEY) throw illegalConstructor();
    super();
    this.#iceTransport = iceTransport;
  }

  get iceTransport(): RTCIceTransport {
    return this.#iceTransport;
  }

  get state(): DtlsTransportState {
    return this.#state;
  }

  getRemoteCertificates(): ArrayBuffer[] {
    return this.#remoteCertificates.map((certificate) => certificate.slice(0));
  }

  static {
    defineEventHandlers(RTCDtlsTransport, DTLS_TRANSPORT_EVENTS, (value) => #state in value);
    dtlsSteps = {
      setState(transport, state) {
        if (transport.#state === state) return false;
        transport.#state = state;
        return true;
      },
      setRemoteCertificate(transport, certificate) {
        transport.#remoteCertificates = [certificate];
      },
      fireStateChange(transport) {
        transport.dispatchEvent(new Event('statechange'));
      },
      fireError(transport, error) {
        transport.dispatchEvent(new RTCErrorEvent('error', { error }));
      },
    };
  }
}

defineInterface(RTCDtlsTransport, { constructorLength: 0 });
countListeners(RTCDtlsTransport);
