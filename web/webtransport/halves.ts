// The halves of a session's streams that scripts have, and what is put off for them until the running script is done.

import { hub } from '../hub.js';
import type { Part, Target, Whole } from '../part.js';
import { Payload } from '../payload.js';
import { Kind } from './native.js';
import type { Session } from './session.js';

/** What a half asks for without an answer at once; the same numbers stand in `src/webtransport/halves.rs`. */
export const Command = { finish: 1, releaseSending: 2, releaseReceiving: 3, awaitBytes: 4 } as const;

const COMMAND_WORDS = 2;
/** How many are handed down in one call. */
const COMMANDS = 256;
const words = new Uint32Array(COMMANDS * COMMAND_WORDS);
const wordBytes = new Uint8Array(words.buffer);
const NOTHING = new Payload();

/** The numbers of a stream's halves; 0 where there is none. */
export interface StreamIds {
  readonly sending: number;
  readonly receiving: number;
  /** Whether this end opens it. */
  readonly isOurs: boolean;
}

/** Numbers for the halves of a stream that this end opens, or the peer. */
export function newIds(by: 'us' | 'peer', isBidirectional: boolean): StreamIds {
  const isOurs = by === 'us';
  return {
    sending: isBidirectional || isOurs ? hub.nextId() : 0,
    receiving: isBidirectional || !isOurs ? hub.nextId() : 0,
    isOurs,
  };
}

/** The halves of one way. */
class Way implements Whole {
  readonly #halves: Halves;
  /** The command that gives the native half back. */
  readonly release: number;
  /** The event that ends an open one. */
  readonly ended: number;

  constructor(halves: Halves, release: number, ended: number) {
    this.#halves = halves;
    this.release = release;
    this.ended = ended;
  }

  closed(part: Part): void {
    this.#halves.closed(part, this.release);
  }
}

export class Halves {
  readonly #session: Session;
  readonly #sending = new Way(this, Command.releaseSending, Kind.SendEnded);
  readonly #receiving = new Way(this, Command.releaseReceiving, Kind.ReceiveEnded);
  /** Open halves, which are to end with the session. */
  #parts: Part[] = [];
  /** Commands on their way down, each with the half's number. */
  #commands: number[] = [];
  #isFlushing = false;
  /** How often commands have been handed down. */
  flushes = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  addSending(id: number, target: Target): Part {
    return this.#add(id, target, this.#sending);
  }

  addReceiving(id: number, target: Target): Part {
    return this.#add(id, target, this.#receiving);
  }

  #add(id: number, target: Target, way: Way): Part {
    const part = hub.registerPart(id, target, way);
    part.index = this.#parts.length;
    this.#parts.push(part);
    return part;
  }

  /** The half has ended, or has been collected. */
  closed(part: Part, release: number): void {
    const last = this.#parts.at(-1);
    if (last !== undefined && this.#parts[part.index] === part) {
      this.#parts[part.index] = last;
      last.index = part.index;
      this.#parts.pop();
    }
    // One that is still open is given up by this. At its session's end it must end as that says.
    if (!this.#session.isOver) this.later(release, part.id);
  }

  /** Ends all that are open. */
  endAll(): void {
    const parts = this.#parts;
    this.#parts = [];
    for (const part of parts) part.deliver((part.whole as Way).ended, 0, 0, NOTHING);
  }

  /** Hands a command down when the running script is done. */
  later(command: number, id: number): void {
    this.#commands.push(command, id);
    this.flushLater();
  }

  /** Has the native core begin what its streams were told, when the running script is done. */
  flushLater(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    hub.afterwards(this.#flush);
  }

  /**
   * Hands down at once what was put off. The native core holds the session's connection for it, and would do so until its
   * object is collected when that is the last that is heard of the session.
   */
  flush(): void {
    if (this.#isFlushing) this.#flush();
  }

  readonly #flush = (): void => {
    this.#isFlushing = false;
    this.flushes += 1;
    const commands = this.#commands;
    const native = this.#session.nativeIfAny;
    if (native === undefined) {
      commands.length = 0;
      return;
    }
    let done = 0;
    do {
      const count = Math.min(commands.length - done, words.length);
      for (let index = 0; index < count; index += 1) words[index] = commands[done + index] as number;
      native.flush(wordBytes, count / COMMAND_WORDS);
      done += count;
    } while (done < commands.length);
    commands.length = 0;
  };
}
