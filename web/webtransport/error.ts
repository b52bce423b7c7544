// https://www.w3.org/TR/webtransport/#webtransporterror

import { DOMException } from '../errors.js';
import { DOMString, defineInterface, dictionary, enumeration, isObject, nullable, unsignedLong } from '../webidl.js';

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

  constructor(...given: unknown[]) {
    const context = "Failed to construct 'WebTransportError'";
    const [message = '', options = {}] = isInit(given) ? [given[0].message, given[0]] : given;
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

/** Browsers took one dictionary before `message` and `options`, and code for them still gives it. */
function isInit(given: readonly unknown[]): given is [{ message?: unknown }] {
  return given.length === 1 && isObject(given[0]) && 'streamErrorCode' in given[0];
}

/** An error of the whole session. */
export function sessionError(message: string): WebTransportError {
  return new WebTransportError(message, { source: 'session' });
}
