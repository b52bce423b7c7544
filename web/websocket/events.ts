// The events of a WebSocket beside MessageEvent. https://websockets.spec.whatwg.org/#closeevent

import { Event } from '../event-target.js';
import {
  boolean,
  DOMString,
  defineInterface,
  dictionary,
  requireArguments,
  USVString,
  unsignedShort,
} from '../webidl.js';

const closeEventInit = dictionary('CloseEventInit', {
  bubbles: { type: boolean, default: () => false },
  cancelable: { type: boolean, default: () => false },
  composed: { type: boolean, default: () => false },
  code: { type: unsignedShort(), default: () => 0 },
  reason: { type: USVString, default: () => '' },
  wasClean: { type: boolean, default: () => false },
});

class OwnCloseEvent extends Event {
  readonly #wasClean: boolean;
  readonly #code: number;
  readonly #reason: string;

  constructor(type: string, eventInitDict?: unknown) {
    // biome-ignore lint/complexity/noArguments: Web IDL counts the arguments that were given.
    requireArguments(arguments, 1, 'CloseEvent constructor');
    const converted = DOMString(type, 'type');
    const init = closeEventInit(eventInitDict, 'eventInitDict');
    super(converted, init);
    this.#wasClean = init.wasClean;
    this.#code = init.code;
    this.#reason = init.reason;
  }

  get wasClean(): boolean {
    return this.#wasClean;
  }

  get code(): number {
    return this.#code;
  }

  get reason(): string {
    return this.#reason;
  }
}

defineInterface(OwnCloseEvent, { name: 'CloseEvent', constructorLength: 1 });

/** What a CloseEvent's constructor takes. */
interface CloseEventConstructor {
  new (type: string, init?: { wasClean?: boolean; code?: number; reason?: string }): Event;
  readonly prototype: Event;
}

/** This realm's CloseEvent, or ours where it has none (before Node 23). */
export const CloseEvent: CloseEventConstructor =
  (globalThis as { CloseEvent?: CloseEventConstructor }).CloseEvent ?? OwnCloseEvent;

/** A `ping` or `pong` event: what the peer's frame carried. Node's own; no standard has it. */
export class PingEvent extends Event {
  readonly #data: Uint8Array<ArrayBuffer>;

  constructor(type: 'ping' | 'pong', data: Uint8Array<ArrayBuffer>) {
    super(type);
    this.#data = data;
  }

  /** At most 125 bytes. */
  get data(): Uint8Array<ArrayBuffer> {
    return this.#data;
  }
}
