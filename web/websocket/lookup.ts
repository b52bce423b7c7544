// The option `lookup`: a function with the signature of `dns.lookup`, which resolves the host's name in the system's place.
// https://nodejs.org/api/dns.html#dnslookuphostname-options-callback

import { isIP } from 'node:net';
import { wordsOf } from '../errors.js';

/** What the native core has for it. */
export interface Resolving {
  resolve(addresses: string[], failure: string): void;
}

interface Found {
  readonly address: string;
}

/** What may be given as `lookup`. */
export type Lookup = (
  hostname: string,
  options: { all: true; family: 0; hints: 0 },
  callback: (error: Error | null, address?: string | readonly Found[], family?: number) => void,
) => void;

/** Has a name resolved and tells the native core. Whatever goes wrong fails the connection and throws nothing. */
export function lookUp(lookup: Lookup, hostname: string, connection: Resolving): void {
  try {
    lookup(hostname, { all: true, family: 0, hints: 0 }, (error, address) => {
      try {
        if (error) throw error;
        connection.resolve(addresses(address), '');
      } catch (reason) {
        connection.resolve([], wordsOf(reason));
      }
    });
  } catch (reason) {
    connection.resolve([], wordsOf(reason));
  }
}

function addresses(answer: string | readonly Found[] | undefined): string[] {
  // Some functions know only one address at a time, whatever is asked.
  const found = typeof answer === 'string' ? [answer] : (answer ?? []).map(({ address }) => String(address));
  if (found.length === 0) throw new Error('lookup found no address');
  const wrong = found.find((address) => isIP(address) === 0);
  if (wrong !== undefined) throw new Error(`lookup found '${wrong}', which is no address`);
  return found;
}
