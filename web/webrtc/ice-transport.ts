// RTCIceTransport. https://w3c.github.io/webrtc-pc/#rtcicetransport-interface

import { defineEventHandlers, Event, EventTarget } from '../event-target.js';
import { defineInterface, illegalConstructor } from '../webidl.js';
import { RTCIceCandidate, RTCIceCandidatePair } from './ice-candidate.js';
import { countListeners } from './liveness.js';
import type { NativeIce } from './native.js';
import { KEY } from './task.js';

export type IceTransportState = 'new' | 'checking' | 'connected' | 'completed' | 'disconnected' | 'failed' | 'closed';
export type IceGatheringState = 'new' | 'gathering' | 'complete';

export const ICE_TRANSPORT_EVENTS = ['statechange', 'gatheringstatechange', 'selectedcandidatepairchange'] as const;

/** What the bundle's transport does to the object that scripts see. Setters say whether anything changed. */
export let iceSteps: {
  setState(transport: RTCIceTransport, state: IceTransportState): boolean;
  setGatheringState(transport: RTCIceTransport, state: IceGatheringState): boolean;
  setLocal(transport: RTCIceTransport, ice: NativeIce): void;
  setRemote(transport: RTCIceTransport, ice: NativeIce, role: 'controlling' | 'controlled'): void;
  addLocalCandidate(transport: RTCIceTransport, candidate: RTCIceCandidate): void;
  addRemoteCandidate(transport: RTCIceTransport, candidate: RTCIceCandidate): void;
  select(transport: RTCIceTransport, local: string, remote: string): void;
  fire(transport: RTCIceTransport, type: (typeof ICE_TRANSPORT_EVENTS)[number]): void;
};

export class RTCIceTransport extends EventTarget {
  /** RTCP is always multiplexed. */
  readonly #component = 'rtp';
  #role: 'unknown' | 'controlling' | 'controlled' = 'unknown';
  #state: IceTransportState = 'new';
  #gatheringState: IceGatheringState = 'new';
  #local: NativeIce | null = null;
  #remote: NativeIce | null = null;
  #localCandidates: RTCIceCandidate[] = [];
  #remoteCandidates: RTCIceCandidate[] = [];
  #selectedPair: RTCIceCandidatePair | null = null;

  constructor(key: symbol) {
    if (key !== KEY) throw illegalConstructor();
    super();
  }

  get role(): string {
    return this.#role;
  }

  get component(): string {
    return this.#component;
  }

  get state(): IceTransportState {
    return this.#state;
  }

  get gatheringState(): IceGatheringState {
    return this.#gatheringState;
  }

  getLocalCandidates(): RTCIceCandidate[] {
    return [...this.#localCandidates];
  }

  getRemoteCandidates(): RTCIceCandidate[] {
    return [...this.#remoteCandidates];
  }

  getSelectedCandidatePair(): RTCIceCandidatePair | null {
    return this.#selectedPair;
  }

  getLocalParameters(): NativeIce | null {
    return this.#local && { ...this.#local };
  }

  getRemoteParameters(): NativeIce | null {
    return this.#remote && { ...this.#remote };
  }

  static {
    defineEventHandlers(RTCIceTransport, ICE_TRANSPORT_EVENTS, (value) => #state in value);
    iceSteps = {
      setState(transport, state) {
        if (transport.#state === state) return false;
        transport.#state = state;
        return true;
      },
      setGatheringState(transport, state) {
        if (transport.#gatheringState === state) return false;
        transport.#gatheringState = state;
        return true;
      },
      setLocal(transport, ice) {
        transport.#local = ice;
        transport.#localCandidates = [];
      },
      setRemote(transport, ice, role) {
        const isRestart = transport.#remote !== null && transport.#remote.usernameFragment !== ice.usernameFragment;
        if (isRestart) transport.#remoteCandidates = [];
        transport.#remote = ice;
        transport.#role = role;
      },
      addLocalCandidate(transport, candidate) {
        transport.#localCandidates.push(candidate);
      },
      addRemoteCandidate(transport, candidate) {
        const known = transport.#remoteCandidates;
        if (!known.some((other) => other.candidate === candidate.candidate)) known.push(candidate);
      },
      select(transport, local, remote) {
        const find = (list: readonly RTCIceCandidate[], text: string): RTCIceCandidate =>
          list.find((candidate) => sameCandidate(candidate, text)) ??
          new RTCIceCandidate({ candidate: text, sdpMid: '', sdpMLineIndex: 0 });
        transport.#selectedPair = new RTCIceCandidatePair(
          KEY,
          find(transport.#localCandidates, local),
          find(transport.#remoteCandidates, remote),
        );
      },
      fire(transport, type) {
        transport.dispatchEvent(new Event(type));
      },
    };
  }
}

function sameCandidate(candidate: RTCIceCandidate, text: string): boolean {
  const other = new RTCIceCandidate({ candidate: text, sdpMid: '' });
  return candidate.address === other.address && candidate.port === other.port && candidate.protocol === other.protocol;
}

defineInterface(RTCIceTransport, { constructorLength: 0 });
countListeners(RTCIceTransport);
