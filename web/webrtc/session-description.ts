// RTCSessionDescription. https://w3c.github.io/webrtc-pc/#rtcsessiondescription-class

import { DOMString, defineInterface, dictionary, enumeration, requireArguments } from '../webidl.js';

export const RTCSdpType = enumeration('RTCSdpType', ['offer', 'pranswer', 'answer', 'rollback']);
export type SdpType = ReturnType<typeof RTCSdpType>;

export const RTCSessionDescriptionInit = dictionary('RTCSessionDescriptionInit', {
  sdp: { type: DOMString, default: () => '' },
  type: { type: RTCSdpType, required: true },
});

export const RTCLocalSessionDescriptionInit = dictionary('RTCLocalSessionDescriptionInit', {
  sdp: { type: DOMString, default: () => '' },
  type: { type: RTCSdpType },
});

/** A description as a plain dictionary, which scripts may change. */
export interface Description {
  type: SdpType;
  sdp: string;
}

export class RTCSessionDescription {
  readonly #type: SdpType;
  readonly #sdp: string;

  constructor(descriptionInitDict: unknown) {
    if (descriptionInitDict === undefined) requireArguments([], 1, 'RTCSessionDescription');
    const { type, sdp } = RTCSessionDescriptionInit(descriptionInitDict, 'RTCSessionDescription: descriptionInitDict');
    this.#type = type;
    this.#sdp = sdp;
  }

  get type(): SdpType {
    return this.#type;
  }

  get sdp(): string {
    return this.#sdp;
  }

  toJSON(): Description {
    return { type: this.#type, sdp: this.#sdp };
  }
}

defineInterface(RTCSessionDescription);
