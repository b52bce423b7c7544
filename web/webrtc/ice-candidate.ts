// RTCIceCandidate and RTCIceCandidatePair. https://w3c.github.io/webrtc-pc/#rtcicecandidate-interface

import {
  DOMString,
  defineInterface,
  dictionary,
  enumeration,
  illegalConstructor,
  nullable,
  USVString,
  unsignedShort,
} from '../webidl.js';
import { binding, type NativeCandidate } from './native.js';
import { KEY } from './task.js';

const initMembers = {
  candidate: { type: DOMString, default: () => '' },
  sdpMLineIndex: { type: nullable(unsignedShort()), default: () => null },
  sdpMid: { type: nullable(DOMString), default: () => null },
  usernameFragment: { type: nullable(DOMString), default: () => null },
} as const;

/** What `addIceCandidate` takes. */
export const RTCIceCandidateInit = dictionary('RTCIceCandidateInit', initMembers);
export type CandidateInit = ReturnType<typeof RTCIceCandidateInit>;

const RTCLocalIceCandidateInit = dictionary('RTCLocalIceCandidateInit', {
  ...initMembers,
  relayProtocol: {
    type: nullable(enumeration('RTCIceServerTransportProtocol', ['udp', 'tcp', 'tls'])),
    default: () => null,
  },
  url: { type: nullable(USVString), default: () => null },
});

export class RTCIceCandidate {
  readonly #init: ReturnType<typeof RTCLocalIceCandidateInit>;
  readonly #parsed: NativeCandidate | null;

  constructor(candidateInitDict: unknown = {}) {
    const init = RTCLocalIceCandidateInit(candidateInitDict, 'RTCIceCandidate: candidateInitDict');
    if (init.sdpMid === null && init.sdpMLineIndex === null) {
      throw new TypeError('RTCIceCandidate: sdpMid and sdpMLineIndex are both null');
    }
    this.#init = init;
    this.#parsed = init.candidate === '' ? null : (binding.parseCandidate(init.candidate) ?? null);
  }

  get candidate(): string {
    return this.#init.candidate;
  }

  get sdpMid(): string | null {
    return this.#init.sdpMid;
  }

  get sdpMLineIndex(): number | null {
    return this.#init.sdpMLineIndex;
  }

  get foundation(): string | null {
    return this.#parsed?.foundation ?? null;
  }

  get component(): string | null {
    return this.#parsed?.component ?? null;
  }

  get priority(): number | null {
    return this.#parsed?.priority ?? null;
  }

  get address(): string | null {
    return this.#parsed?.address ?? null;
  }

  get protocol(): string | null {
    return this.#parsed?.protocol ?? null;
  }

  get port(): number | null {
    return this.#parsed?.port ?? null;
  }

  get type(): string | null {
    return this.#parsed?.type ?? null;
  }

  get tcpType(): string | null {
    return this.#parsed?.tcpType ?? null;
  }

  get relatedAddress(): string | null {
    return this.#parsed?.relatedAddress ?? null;
  }

  get relatedPort(): number | null {
    return this.#parsed?.relatedPort ?? null;
  }

  get usernameFragment(): string | null {
    return this.#init.usernameFragment ?? this.#parsed?.usernameFragment ?? null;
  }

  get relayProtocol(): string | null {
    return this.#init.relayProtocol;
  }

  get url(): string | null {
    return this.#init.url;
  }

  toJSON(): CandidateInit {
    const { candidate, sdpMid, sdpMLineIndex } = this.#init;
    return { candidate, sdpMid, sdpMLineIndex, usernameFragment: this.usernameFragment };
  }
}

defineInterface(RTCIceCandidate, { constructorLength: 0 });

export const isRTCIceCandidate = (value: unknown): value is RTCIceCandidate => value instanceof RTCIceCandidate;

export class RTCIceCandidatePair {
  readonly #local: RTCIceCandidate;
  readonly #remote: RTCIceCandidate;

  constructor(key: symbol, local: RTCIceCandidate, remote: RTCIceCandidate) {
    if (key !== KEY) throw illegalConstructor();
    this.#local = local;
    this.#remote = remote;
  }

  get local(): RTCIceCandidate {
    return this.#local;
  }

  get remote(): RTCIceCandidate {
    return this.#remote;
  }
}

defineInterface(RTCIceCandidatePair, { constructorLength: 0 });
