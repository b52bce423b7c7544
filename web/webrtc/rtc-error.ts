// RTCError and RTCErrorEvent. https://w3c.github.io/webrtc-pc/#rtcerror-interface

import { DOMException } from '../errors.js';
import { Event } from '../event-target.js';
import {
  boolean,
  type Converter,
  type DictionaryOf,
  DOMString,
  defineInterface,
  dictionary,
  enumeration,
  instance,
  long,
  requireArguments,
  unsignedLong,
} from '../webidl.js';

const RTCErrorDetailType = enumeration('RTCErrorDetailType', [
  'data-channel-failure',
  'dtls-failure',
  'fingerprint-failure',
  'sctp-failure',
  'sdp-syntax-error',
  'hardware-encoder-not-available',
  'hardware-encoder-error',
]);

const RTCErrorInit = dictionary('RTCErrorInit', {
  errorDetail: { type: RTCErrorDetailType, required: true },
  receivedAlert: { type: unsignedLong() },
  sctpCauseCode: { type: long() },
  sdpLineNumber: { type: long() },
  sentAlert: { type: unsignedLong() },
});

export class RTCError extends DOMException {
  readonly #init: DictionaryOf<{
    errorDetail: { type: typeof RTCErrorDetailType; required: true };
    receivedAlert: { type: Converter<number> };
    sctpCauseCode: { type: Converter<number> };
    sdpLineNumber: { type: Converter<number> };
    sentAlert: { type: Converter<number> };
  }>;

  constructor(init: unknown, message: unknown = '') {
    if (init === undefined) requireArguments([], 1, 'RTCError');
    const converted = RTCErrorInit(init, 'RTCError: init');
    super(DOMString(message, 'RTCError: message'), 'OperationError');
    this.#init = converted;
  }

  get errorDetail(): string {
    return this.#init.errorDetail;
  }

  get sdpLineNumber(): number | null {
    return this.#init.sdpLineNumber ?? null;
  }

  get sctpCauseCode(): number | null {
    return this.#init.sctpCauseCode ?? null;
  }

  get receivedAlert(): number | null {
    return this.#init.receivedAlert ?? null;
  }

  get sentAlert(): number | null {
    return this.#init.sentAlert ?? null;
  }
}

defineInterface(RTCError, { constructorLength: 1 });

const isRTCError = (value: unknown): value is RTCError => value instanceof RTCError;

/** The members of EventInit, in Web IDL's order. */
export const eventInit = {
  bubbles: { type: boolean, default: () => false },
  cancelable: { type: boolean, default: () => false },
  composed: { type: boolean, default: () => false },
} as const;

const RTCErrorEventInit = dictionary('RTCErrorEventInit', {
  ...eventInit,
  error: { type: instance('RTCError', isRTCError), required: true },
});

export class RTCErrorEvent extends Event {
  readonly #error: RTCError;

  constructor(type: unknown, eventInitDict: unknown) {
    if (eventInitDict === undefined) requireArguments([], 2, 'RTCErrorEvent');
    const name = DOMString(type, 'RTCErrorEvent: type');
    const { error, ...init } = RTCErrorEventInit(eventInitDict, 'RTCErrorEvent: eventInitDict');
    super(name, init);
    this.#error = error;
  }

  get error(): RTCError {
    return this.#error;
  }
}

defineInterface(RTCErrorEvent);
