// Clients that wait for `verifyClient` to call back. No wait is without an end: there is a time for it, it ends when the
// client goes, and only so many may wait.

import type { Duplex } from 'node:stream';
import { clearTimeout as clearRealTimeout, setTimeout as setRealTimeout } from 'node:timers';
import type { Cause } from '../websocket/diagnostics.js';
import { refusal } from '../websocket/server-diagnostics.js';

/** The callback of `verifyClient`. */
export type Verified = (verified: boolean, status?: number, message?: string, headers?: object) => void;

/** The options that bound the waits. */
export interface VerificationLimits {
  handshakeTimeout?: number | undefined;
  maxPendingHandshakes?: number | undefined;
}

/** What becomes of a wait: one of these. */
interface Ends {
  readonly verified: Verified;
  readonly late: () => void;
  readonly gone: () => void;
}

/** Also the native core's time for an accepted request whose answer can't be written. */
export const HANDSHAKE_TIMEOUT_MS = 30_000;
export const MAX_PENDING_HANDSHAKES = 1024;
const MAX_TIMER_MS = 0x7fffffff;

export const TOO_MANY_HANDSHAKES = refusal(
  503,
  'ERR_TOO_MANY_HANDSHAKES',
  'as many clients as may be wait for their answer',
);
export const LATE: Cause = {
  number: 503,
  text: 'handshake\0ETIMEDOUT\0\0\0\0verifyClient has not called back in time',
};

const orDefault = (given: number | undefined, value: number): number =>
  typeof given === 'number' && given > 0 ? given : value;

export class PendingVerifications {
  #size = 0;

  isFull({ maxPendingHandshakes }: VerificationLimits): boolean {
    return this.#size >= orDefault(maxPendingHandshakes, MAX_PENDING_HANDSHAKES);
  }

  /** Calls `verify` with a callback, whose first call counts. */
  wait(
    socket: Duplex,
    { handshakeTimeout }: VerificationLimits,
    verify: (callback: Verified) => void,
    ends: Ends,
  ): void {
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const end = (): void => {
      isOver = true;
      this.#size -= 1;
      clearRealTimeout(timer);
      socket.off('close', left);
    };
    const left = (): void => {
      end();
      ends.gone();
    };
    this.#size += 1;
    try {
      verify((...answer) => {
        if (isOver) return;
        end();
        ends.verified(...answer);
      });
    } catch (error) {
      if (!isOver) end();
      throw error;
    }
    if (isOver) return;
    socket.on('close', left);
    const time = Math.min(orDefault(handshakeTimeout, HANDSHAKE_TIMEOUT_MS), MAX_TIMER_MS);
    timer = setRealTimeout(() => {
      end();
      ends.late();
    }, time);
  }
}
