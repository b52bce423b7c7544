// Exceptions, made from the classes that this realm had when the package was loaded.

import { inspect } from 'node:util';

const { DOMException: RealmDOMException, TypeError: RealmTypeError, RangeError: RealmRangeError } = globalThis;

export { RealmDOMException as DOMException, RealmRangeError as RangeError, RealmTypeError as TypeError };

/** Nodes before 26 have no such class. */
const { QuotaExceededError } = globalThis as { QuotaExceededError?: new (message: string) => DOMException };

/** Its `requested` and `quota` are null; a plain DOMException of that name where the realm has no more. */
export function quotaExceeded(message: string): DOMException {
  const name = 'QuotaExceededError';
  return QuotaExceededError === undefined ? new RealmDOMException(message, name) : new QuotaExceededError(message);
}

/** The names of DOMExceptions that the native core gives to what it refuses (`src/error.rs`). */
const DOM_EXCEPTIONS = new Set([
  'SyntaxError',
  'InvalidStateError',
  'InvalidAccessError',
  'NotSupportedError',
  'OperationError',
  'NetworkError',
  'InvalidModificationError',
]);

/** An exception of the class and name that the native core said; an error of the system keeps its code. */
export function exception(name: string, message: string): Error {
  if (DOM_EXCEPTIONS.has(name)) return new RealmDOMException(message, name);
  if (name === 'SystemError') {
    const code = message.split(':', 1)[0] ?? 'EIO';
    return Object.assign(new Error(message), { code });
  }
  return new TypeError(message);
}

/** What a script's function has thrown, in words; not everything can become a string. */
export function wordsOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  return typeof thrown === 'string' ? thrown : inspect(thrown, { customInspect: false });
}

/** What a native method threw, as what a script is to see. */
export function fromNative(error: unknown): unknown {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return exception(error.code, error.message);
  }
  return error;
}
