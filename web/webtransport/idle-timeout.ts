// The option `idleTimeoutMs` of clients and servers: how long a peer may be silent before it counts as gone. No standard
// has it. https://www.rfc-editor.org/rfc/rfc9000#section-10.1

import { type Converter, unsignedLong } from '../webidl.js';

const enforcedLong = unsignedLong('enforceRange');

/** 0 would be no limit in QUIC, and a peer that is gone would never be missed. */
const idleTimeoutMs: Converter<number> = (value, context) => {
  const converted = enforcedLong(value, context);
  if (converted === 0) throw new RangeError(`${context} must not be 0`);
  return converted;
};

/** The member of the dictionaries of both. */
export const idleTimeoutMember = { idleTimeoutMs: { type: idleTimeoutMs, default: () => 30_000 } } as const;
