// The signalling half of the native core, with its refusals as exceptions.

import { DOMException } from '../errors.js';
import { binding, type NativeOutcome, type NativeRefusal, type NativeSlots } from './native.js';
import { RTCError } from './rtc-error.js';
import { RTCSessionDescription } from './session-description.js';

export type SignalingState =
  | 'stable'
  | 'have-local-offer'
  | 'have-remote-offer'
  | 'have-local-pranswer'
  | 'have-remote-pranswer'
  | 'closed';

/** The description slots of webrtc-pc. */
export interface Slots {
  currentLocal: RTCSessionDescription | null;
  currentRemote: RTCSessionDescription | null;
  pendingLocal: RTCSessionDescription | null;
  pendingRemote: RTCSessionDescription | null;
}

const NAMES = ['currentLocal', 'currentRemote', 'pendingLocal', 'pendingRemote'] as const;

export function emptySlots(): Slots {
  return { currentLocal: null, currentRemote: null, pendingLocal: null, pendingRemote: null };
}

/** In the native core's form. */
export function toNative(slots: Slots): NativeSlots {
  const native: NativeSlots = {};
  for (const name of NAMES) {
    const description = slots[name];
    if (description !== null) native[name] = { type: description.type, sdp: description.sdp };
  }
  return native;
}

/** The new slots; a description that only moved stays the same object. */
export function fromNative(native: NativeSlots, before: Slots): Slots {
  const slots = emptySlots();
  for (const name of NAMES) {
    const made = native[name];
    if (made === undefined) continue;
    const known = NAMES.map((other) => before[other]).find(
      (description) => description?.type === made.type && description.sdp === made.sdp,
    );
    slots[name] = known ?? new RTCSessionDescription(made);
  }
  return slots;
}

/** The exception of a refusal: an RTCError with its line where the syntax is wrong. */
export function refusalError({ name, message, line }: NativeRefusal): Error {
  if (line === undefined) return new DOMException(message, name);
  return new RTCError({ errorDetail: 'sdp-syntax-error', sdpLineNumber: line }, `Line ${line}: ${message}`);
}

/** The outcome, unless it is a refusal, which is thrown. */
export function accepted(outcome: NativeOutcome): NativeOutcome {
  if (outcome.refusal !== undefined) throw refusalError(outcome.refusal);
  return outcome;
}

export { binding };
