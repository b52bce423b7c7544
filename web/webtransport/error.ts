// https://www.w3.org/TR/webtransport/#webtransporterror

import { DOMException } from '../errors.js';
import { DOMString, defineInterface, dictionary, enumeration, nullable, unsignedLong } from '../webidl.js';

const WebTransportErrorSource = enumeration('WebTransportErrorSource', ['stream', 'session']);

const WebTransportErrorOptions = dictionary('WebTransportErrorOptions', {
  source: { type: WebTransportErrorSource, default: () => 'stream' as const },
  streamErrorCode: { type: nullable(unsignedLong('clamp')), default: () => null },
});

/** The code that `abort(reason)` and `cancel(reason)` send: the reason's own, else 0. */
let codeOf: (reason: unknown) => number;

export class WebTransportError extends DOMException {
  readonly #source: 'stream' | 'session';
  readonly #streamErrorCode: number | null;

  constructor(message: unknown = '', options: unknown = {}) {
    const context = "Failed to construct 'WebTransportError'";
    const text = DOMString(message, `${context}: message`);
    const { source, streamErrorCode } = WebTransportErrorOptions(options, `${context}: options`);
    super(text, 'WebTransportError');
    this.#source = source;
    this.#streamErrorCode = streamErrorCode;
  }

  get source(): 'stream' | 'session' {
    return this.#source;
  }

  get streamErrorCode(): number | null {
    return this.#streamErrorCode;
  }

  static {
    codeOf = (reason) =>
      typeof reason === 'object' && reason !== null && #streamErrorCode in reason ? (reason.#streamErrorCode ?? 0) : 0;
  }
}

export { codeOf };

defineInterface(WebTransportError, { constructorLength: 0 });

/** An error of the whole session. */
export function sessionError(message: string): WebTransportError {
  return new WebTransportError(message, { source: 'session' });
}
