// What the operator of a program hears and its scripts must not: `node:diagnostics_channel`, and lines on stderr with
// NODE_DEBUG=webwire.

import { channel } from 'node:diagnostics_channel';
import { debuglog } from 'node:util';

const debug = debuglog('webwire');

/** One of our channels. Nothing is made for it unless somebody listens: ask `wanted` first. */
export class Topic {
  readonly #name: string;
  readonly #channel: ReturnType<typeof channel>;

  /** `webwire:<api>:<what>`; part of the package's interface. */
  constructor(name: `webwire:${string}:${string}`) {
    this.#name = name;
    this.#channel = channel(name);
  }

  get wanted(): boolean {
    return this.#channel.hasSubscribers || debug.enabled;
  }

  /** `words` are for the line on stderr. */
  publish(message: object, ...words: readonly (string | number)[]): void {
    if (debug.enabled) debug('%s', [this.#name, ...words].join(' '));
    this.#channel.publish(message);
  }
}

/** Why something failed, in the manner of Node's system errors. */
export interface FailureDetail {
  /** What was under way: `dns`, `connect`, `tls` … */
  phase: string;
  code: string;
  syscall?: string;
  address?: string;
  port?: number;
}

/** An Error with these members. */
export function failureError(text: string, detail: FailureDetail): Error & FailureDetail {
  return Object.assign(new Error(text), detail);
}

/** A URL as it may stand in logs. */
export function withoutCredentials(url: string): string {
  const record = new URL(url);
  if (record.username === '' && record.password === '') return url;
  record.username = '';
  record.password = '';
  return record.href;
}
