// Offers, answers and candidates of a connection: its description slots, its signaling state and its operations chain.
// https://w3c.github.io/webrtc-pc/#session-negotiation-model

import { randomInt } from 'node:crypto';
import { DOMException } from '../errors.js';
import type { RTCCertificate } from './certificate.js';
import type { CandidateInit } from './ice-candidate.js';
import type { NativeChanges, NativeLocal } from './native.js';
import { OperationsChain } from './operations-chain.js';
import { MAX_MESSAGE_SIZE } from './sctp-transport.js';
import type { Description, RTCSessionDescription, SdpType } from './session-description.js';
import { accepted, binding, emptySlots, fromNative, type SignalingState, type Slots, toNative } from './signalling.js';
import { queueTask } from './task.js';

/** What a negotiation asks of its connection. */
export interface NegotiationOwner {
  readonly isClosed: boolean;
  /** Whether data channels need a section. */
  readonly wantsData: boolean;
  readonly certificates: readonly RTCCertificate[];
  /** A description was applied: transports follow, before any event. */
  applied(type: SdpType, changes: NativeChanges): void;
  /** A candidate of the peer (empty: no more come) for these generations of ICE. */
  remoteCandidate(usernameFragments: readonly string[], candidate: string): void;
  signalingStateChanged(): void;
  negotiationNeeded(): void;
}

type Side = 'local' | 'remote';

export class Negotiation {
  signalingState: SignalingState = 'stable';
  slots: Slots = emptySlots();
  canTrickle: boolean | null = null;
  readonly #owner: NegotiationOwner;
  readonly #chain: OperationsChain;
  readonly #sessionId = randomInt(2 ** 47).toString();
  #version = 0;
  #lastCreatedOffer = '';
  #lastCreatedAnswer = '';
  /** Whether the last offer is what would be offered now. */
  #offerIsAccurate = false;
  #answerIsAccurate = false;
  #hasData = false;
  /** `[[LocalIceCredentialsToReplace]]`, by ufrag. */
  #toReplace = new Set<string>();
  #negotiationNeeded = false;
  #updateOnEmptyChain = false;
  /** The ufrag of the data transport, current and pending. */
  #fragments: { current: string | undefined; pending: string | undefined } = { current: undefined, pending: undefined };

  constructor(owner: NegotiationOwner) {
    this.#owner = owner;
    this.#chain = new OperationsChain(
      () => owner.isClosed,
      () => {
        if (!this.#updateOnEmptyChain) return;
        this.#updateOnEmptyChain = false;
        this.update();
      },
    );
  }

  get localDescription(): RTCSessionDescription | null {
    return this.slots.pendingLocal ?? this.slots.currentLocal;
  }

  get remoteDescription(): RTCSessionDescription | null {
    return this.slots.pendingRemote ?? this.slots.currentRemote;
  }

  /** https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-createoffer */
  createOffer(iceRestart: boolean): Promise<Description> {
    return this.#chain.chain(() => this.#createOffer(iceRestart));
  }

  /** https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-createanswer */
  createAnswer(): Promise<Description> {
    return this.#chain.chain(() => this.#createAnswer());
  }

  /** https://w3c.github.io/webrtc-pc/#dom-peerconnection-setlocaldescription */
  setLocalDescription({ type: givenType, sdp }: Partial<Description>): Promise<void> {
    return this.#chain.chain(async () => {
      // 4.1.
      const offers = ['stable', 'have-local-offer', 'have-remote-pranswer'].includes(this.signalingState);
      const type = givenType ?? (offers ? 'offer' : 'answer');
      const given = sdp ?? '';
      const isOffer = type === 'offer';
      // 4.2. and 4.3. A state that has no place for the type is refused first.
      this.#refuseState('local', type);
      const last = isOffer ? this.#lastCreatedOffer : this.#lastCreatedAnswer;
      if (type !== 'rollback' && given !== '' && given !== last) {
        throw new DOMException(
          `setLocalDescription: not the ${type} that was created last`,
          'InvalidModificationError',
        );
      }
      let text = given;
      if (type !== 'rollback' && given === '') {
        // 4.4. and 4.5.
        const isAccurate = isOffer ? this.#offerIsAccurate : this.#answerIsAccurate;
        if (isAccurate) text = last;
        else text = (await (isOffer ? this.#createOffer(false) : this.#createAnswer())).sdp;
      }
      await this.#set('local', type, text);
    });
  }

  /** https://w3c.github.io/webrtc-pc/#dom-peerconnection-setremotedescription */
  setRemoteDescription({ type, sdp }: Description): Promise<void> {
    return this.#chain.chain(async () => {
      // 4.1. An offer over ours rolls ours back.
      if (type === 'offer' && this.signalingState === 'have-local-offer') await this.#set('local', 'rollback', '');
      await this.#set('remote', type, sdp);
    });
  }

  /** https://w3c.github.io/webrtc-pc/#dom-peerconnection-addicecandidate */
  addIceCandidate(candidate: CandidateInit): Promise<void> {
    // 2. and 3.
    if (candidate.candidate !== '' && candidate.sdpMid === null && candidate.sdpMLineIndex === null) {
      return Promise.reject(new TypeError('addIceCandidate: sdpMid and sdpMLineIndex are both null'));
    }
    return this.#chain.chain(async () => {
      // 4.1.
      if (this.remoteDescription === null) {
        throw new DOMException('addIceCandidate: there is no remote description', 'InvalidStateError');
      }
      await this.#task(() => {
        // 4.2. to 4.6.
        const { slots, usernameFragments = [] } = accepted(
          binding.addRemoteCandidate(
            toNative(this.slots),
            candidate.candidate,
            candidate.sdpMid ?? undefined,
            candidate.sdpMLineIndex ?? undefined,
            candidate.usernameFragment ?? undefined,
          ),
        );
        if (slots !== undefined) this.slots = fromNative(slots, this.slots);
        this.#owner.remoteCandidate(usernameFragments, candidate.candidate.replace(/^a=/, ''));
      });
    });
  }

  /** Puts a candidate of ours into the descriptions of its generation. */
  addLocalCandidate(usernameFragment: string, candidate: string): void {
    const { slots } = accepted(binding.addLocalCandidate(toNative(this.slots), usernameFragment, candidate));
    if (slots !== undefined) this.slots = fromNative(slots, this.slots);
  }

  /** https://w3c.github.io/webrtc-pc/#dom-rtcpeerconnection-restartice */
  restartIce(): void {
    this.#toReplace = new Set(Object.values(this.#fragments).filter((fragment) => fragment !== undefined));
    this.#offerIsAccurate = false;
    this.update();
  }

  /** What is offered has changed. */
  changed(): void {
    this.#offerIsAccurate = false;
    this.update();
  }

  /** https://w3c.github.io/webrtc-pc/#dfn-update-the-negotiation-needed-flag */
  update(): void {
    // 1.
    if (!this.#chain.isEmpty) {
      this.#updateOnEmptyChain = true;
      return;
    }
    // 2.
    queueTask(() => {
      if (this.#owner.isClosed) return;
      if (!this.#chain.isEmpty) {
        this.#updateOnEmptyChain = true;
        return;
      }
      if (this.signalingState !== 'stable') return;
      const isNeeded = this.#toReplace.size > 0 || (this.#owner.wantsData && !this.#hasData);
      const wasNeeded = this.#negotiationNeeded;
      this.#negotiationNeeded = isNeeded;
      if (isNeeded && !wasNeeded) this.#owner.negotiationNeeded();
    });
  }

  async #createOffer(iceRestart: boolean): Promise<Description> {
    if (this.signalingState !== 'stable' && this.signalingState !== 'have-local-offer') {
      throw new DOMException(`createOffer: the signaling state is ${this.signalingState}`, 'InvalidStateError');
    }
    return this.#task(() => {
      const fragment = this.#fragments.pending ?? this.#fragments.current;
      const restarts = iceRestart || (fragment !== undefined && this.#toReplace.has(fragment));
      const { sdp = '' } = accepted(
        binding.createOffer(this.signalingState, toNative(this.slots), this.#local(restarts)),
      );
      this.#lastCreatedOffer = sdp;
      this.#offerIsAccurate = true;
      return { type: 'offer', sdp };
    });
  }

  async #createAnswer(): Promise<Description> {
    if (this.signalingState !== 'have-remote-offer' && this.signalingState !== 'have-local-pranswer') {
      throw new DOMException(`createAnswer: the signaling state is ${this.signalingState}`, 'InvalidStateError');
    }
    return this.#task(() => {
      const { sdp = '' } = accepted(
        binding.createAnswer(this.signalingState, toNative(this.slots), this.#local(false)),
      );
      this.#lastCreatedAnswer = sdp;
      this.#answerIsAccurate = true;
      return { type: 'answer', sdp };
    });
  }

  #local(restartIce: boolean): NativeLocal {
    this.#version += 1;
    return {
      sessionId: this.#sessionId,
      version: this.#version,
      freshIce: binding.generateIceCredentials(),
      fingerprints: this.#owner.certificates.flatMap((certificate) => certificate.getFingerprints()),
      maxMessageSize: MAX_MESSAGE_SIZE,
      restartIce,
      wantsData: this.#owner.wantsData,
    };
  }

  #refuseState(side: Side, type: SdpType): void {
    if (binding.mayApplyDescription(this.signalingState, side === 'remote', type)) return;
    throw new DOMException(
      `A ${side} ${type} cannot be set in the signaling state ${this.signalingState}`,
      'InvalidStateError',
    );
  }

  /** https://w3c.github.io/webrtc-pc/#set-the-session-description */
  async #set(side: Side, type: SdpType, sdp: string): Promise<void> {
    this.#refuseState(side, type);
    await this.#task(() => {
      const before = this.signalingState;
      const { changes } = accepted(
        binding.applyDescription(before, toNative(this.slots), side === 'remote', type, sdp),
      );
      if (changes === undefined) throw new TypeError('The native core said neither yes nor no');
      // 4.4. Slots and states first.
      this.slots = fromNative(changes.slots, this.slots);
      this.signalingState = changes.state as SignalingState;
      this.canTrickle = changes.canTrickle ?? null;
      this.#offerIsAccurate = false;
      this.#answerIsAccurate = false;
      this.#followFragments(side, type, changes);
      this.#owner.applied(type, changes);
      if (this.signalingState === 'stable') {
        if (type !== 'rollback') {
          this.#hasData = changes.hasData;
          this.#lastCreatedOffer = '';
          this.#lastCreatedAnswer = '';
        }
        this.#negotiationNeeded = false;
        this.update();
      }
      if (this.signalingState !== before) this.#owner.signalingStateChanged();
    });
  }

  /** Which credentials are in use decides whether a wished restart is still to come. */
  #followFragments(side: Side, type: SdpType, changes: NativeChanges): void {
    const fragments = this.#fragments;
    if (side === 'local' && type !== 'rollback') fragments.pending = changes.gather?.ice.usernameFragment;
    if (type === 'rollback') {
      fragments.pending = undefined;
    } else if (this.signalingState === 'stable') {
      fragments.current = fragments.pending ?? fragments.current;
      fragments.pending = undefined;
      if (fragments.current === undefined || !this.#toReplace.has(fragments.current)) this.#toReplace.clear();
    }
  }

  /** Runs `steps` in a queued task; a connection closed by then does nothing more. */
  #task<Value>(steps: () => Value): Promise<Value> {
    return new Promise((resolve, reject) => {
      queueTask(() => {
        if (this.#owner.isClosed) return;
        try {
          resolve(steps());
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}
