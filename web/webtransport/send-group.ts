// https://www.w3.org/TR/webtransport/#sendGroup, and the place that streams and datagrams have in the order of sending.

import { DOMException } from '../errors.js';
import {
  boolean,
  type Converter,
  defineInterface,
  dictionary,
  illegalConstructor,
  instance,
  longLong,
  nullable,
} from '../webidl.js';
import type { Session } from './session.js';

/** The number of the null group; the same one stands in `src/webtransport/scheduler.rs`. */
const NULL_GROUP = 0;

/** What a group's streams have in common; made by `createSendGroup` only. */
class Group {
  static #last = NULL_GROUP;
  readonly id: number;
  readonly session: Session;
  /** What its streams have taken from the script. */
  bytesWritten = 0;

  constructor(session: Session) {
    Group.#last += 1;
    this.id = Group.#last;
    this.session = session;
  }
}

let groupOf: (sendGroup: WebTransportSendGroup) => Group;
let isSendGroup: (value: unknown) => value is WebTransportSendGroup;

export class WebTransportSendGroup {
  readonly #group: Group;

  constructor(group?: unknown) {
    if (!(group instanceof Group)) throw illegalConstructor();
    this.#group = group;
  }

  static {
    groupOf = (sendGroup) => sendGroup.#group;
    isSendGroup = (value): value is WebTransportSendGroup =>
      typeof value === 'object' && value !== null && #group in value;
  }

  async getStats(): Promise<{ bytesWritten: number }> {
    return { bytesWritten: this.#group.bytesWritten };
  }
}

defineInterface(WebTransportSendGroup, { constructorLength: 0 });

/** https://www.w3.org/TR/webtransport/#dom-webtransport-createsendgroup */
export function createSendGroup(session: Session): WebTransportSendGroup {
  // 1.
  if (session.isOver) throw new DOMException('the session has ended', 'InvalidStateError');
  return new WebTransportSendGroup(new Group(session));
}

const SendGroup: Converter<WebTransportSendGroup | null> = nullable(instance('WebTransportSendGroup', isSendGroup));

const sendOptions = {
  sendGroup: { type: SendGroup, default: () => null },
  sendOrder: { type: longLong(), default: () => 0 },
};

export const WebTransportSendOptions = dictionary('WebTransportSendOptions', sendOptions);

const GivenSendStreamOptions = dictionary('WebTransportSendStreamOptions', {
  ...sendOptions,
  waitUntilAvailable: { type: boolean, default: () => false },
});
const NO_OPTIONS = Object.freeze(GivenSendStreamOptions(undefined, ''));

/** Most streams are opened without. */
export const WebTransportSendStreamOptions: typeof GivenSendStreamOptions = (value, context) =>
  value === undefined ? NO_OPTIONS : GivenSendStreamOptions(value, context);

/** Who is told after each change of its place. */
interface Movable {
  moved(): void;
}

/** Where a stream or a writable for datagrams stands: its slots [[SendGroup]] and [[SendOrder]]. */
export class SendPlace {
  readonly #session: Session;
  readonly #owner: Movable | undefined;
  #sendGroup: WebTransportSendGroup | null = null;
  #sendOrder = 0;
  /** What the stream has taken from the script. */
  bytesWritten = 0;

  constructor(session: Session, owner?: Movable) {
    this.#session = session;
    this.#owner = owner;
  }

  get sendGroup(): WebTransportSendGroup | null {
    return this.#sendGroup;
  }

  get sendOrder(): number {
    return this.#sendOrder;
  }

  /** The group's number in the native core. */
  get group(): number {
    return this.#sendGroup === null ? NULL_GROUP : groupOf(this.#sendGroup).id;
  }

  /** Whether it is another place than that of all who have asked for none. */
  get isOwn(): boolean {
    return this.#sendGroup !== null || this.#sendOrder !== 0;
  }

  /** What the setter of `sendGroup` does. */
  setSendGroup(value: unknown): void {
    const sendGroup = SendGroup(value, "Failed to set 'sendGroup'");
    // 1.
    if (sendGroup !== null && groupOf(sendGroup).session !== this.#session) {
      throw new DOMException('the group belongs to another session', 'InvalidStateError');
    }
    // 2.
    this.#join(sendGroup);
    this.#owner?.moved();
  }

  /** What the setter of `sendOrder` does. */
  setSendOrder(value: unknown): void {
    this.#sendOrder = longLong()(value, "Failed to set 'sendOrder'");
    this.#owner?.moved();
  }

  /** The place that options ask for, which have been checked. */
  take({ sendGroup, sendOrder }: SendPlaceOptions): void {
    this.#join(sendGroup);
    this.#sendOrder = sendOrder;
    this.#owner?.moved();
  }

  #join(sendGroup: WebTransportSendGroup | null): void {
    // A group's figures are the sums of those that are in it.
    if (this.#sendGroup !== null) groupOf(this.#sendGroup).bytesWritten -= this.bytesWritten;
    this.#sendGroup = sendGroup;
    if (sendGroup !== null) groupOf(sendGroup).bytesWritten += this.bytesWritten;
  }

  /** The script's bytes have been taken. */
  wrote(bytes: number): void {
    this.bytesWritten += bytes;
    if (this.#sendGroup !== null) groupOf(this.#sendGroup).bytesWritten += bytes;
  }
}

export interface SendPlaceOptions {
  sendGroup: WebTransportSendGroup | null;
  sendOrder: number;
}

/** Throws unless the group is one of this session. */
export function checkSendGroup(session: Session, sendGroup: WebTransportSendGroup | null): void {
  if (sendGroup !== null && groupOf(sendGroup).session !== session) {
    throw new TypeError('the send group belongs to another session');
  }
}
