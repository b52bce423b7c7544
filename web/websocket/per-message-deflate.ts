// The option `perMessageDeflate`: what a script wants of compression. https://www.rfc-editor.org/rfc/rfc7692#section-7

import { boolean, type Converter, type DictionaryOf, dictionary, isObject, octet, unsignedLong } from '../webidl.js';

const enforcedOctet = octet('enforceRange');

const MIN_WINDOW_BITS = 8;
const MAX_WINDOW_BITS = 15;
const MAX_LEVEL = 9;
/** What zlib takes for its default. */
const LEVEL = 6;
/** What `ws` has: below, the time costs more than the bytes. */
const THRESHOLD = 1024;

const windowBits: Converter<number> = (value, context) => {
  const bits = enforcedOctet(value, context);
  if (bits < MIN_WINDOW_BITS || bits > MAX_WINDOW_BITS) {
    throw new RangeError(`${context} is outside ${MIN_WINDOW_BITS} to ${MAX_WINDOW_BITS}`);
  }
  return bits;
};

const level: Converter<number> = (value, context) => {
  const converted = enforcedOctet(value, context);
  if (converted > MAX_LEVEL) throw new RangeError(`${context} is outside 0 to ${MAX_LEVEL}`);
  return converted;
};

const members = {
  clientMaxWindowBits: { type: windowBits, default: () => MAX_WINDOW_BITS },
  clientNoContextTakeover: { type: boolean, default: () => false },
  level: { type: level, default: () => LEVEL },
  serverMaxWindowBits: { type: windowBits, default: () => MAX_WINDOW_BITS },
  serverNoContextTakeover: { type: boolean, default: () => false },
  threshold: { type: unsignedLong('enforceRange'), default: () => THRESHOLD },
} as const;

/** As the native core takes it. */
export type Deflate = DictionaryOf<typeof members>;

const options = dictionary('PerMessageDeflateOptions', members);

/** True and an object switch compression on; undefined is off. */
export const perMessageDeflate: Converter<Deflate | undefined> = (value, context) => {
  if (isObject(value)) return options(value, context);
  return boolean(value, context) ? options(undefined, context) : undefined;
};
