// WebSocketError. https://whatpr.org/websockets/48.html#the-websocketevent-interface

import { DOMException } from '../errors.js';
import { DOMString, defineInterface } from '../webidl.js';
import { closeInfo, codeOrNormal, validateCloseCodeAndReason } from './close-info.js';

/** An error with the close code and the reason of a connection, also those that a script may not use. */
export let createWebSocketError: (message: string, closeCode: number | undefined, reason: string) => WebSocketError;
/** Code and reason of a WebSocketError; of any other value none. */
export let closeInfoOf: (reason: unknown) => { code: number | undefined; reason: string };

export class WebSocketError extends DOMException {
  #closeCode: number | undefined;
  #reason: string;

  static {
    createWebSocketError = (message, closeCode, reason) => {
      const error = new WebSocketError(message);
      error.#closeCode = closeCode;
      error.#reason = reason;
      return error;
    };
    closeInfoOf = (value) => {
      const is = typeof value === 'object' && value !== null && #closeCode in value;
      return is ? { code: value.#closeCode, reason: value.#reason } : { code: undefined, reason: '' };
    };
  }

  constructor(message: unknown = '', init: unknown = {}) {
    const context = "Failed to construct 'WebSocketError'";
    const text = DOMString(message, `${context}: message`);
    // 3. 4.
    const { closeCode, reason } = closeInfo(init, `${context}: init`);
    // 1. 2.
    super(text, 'WebSocketError');
    // 5.
    validateCloseCodeAndReason(closeCode, reason);
    // 6. to 8.
    this.#closeCode = codeOrNormal(closeCode, reason);
    this.#reason = reason;
  }

  get closeCode(): number | null {
    return this.#closeCode ?? null;
  }

  get reason(): string {
    return this.#reason;
  }
}

defineInterface(WebSocketError, { constructorLength: 0 });
