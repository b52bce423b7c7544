// The address of this machine that a client connects from: the option `localAddress`.

import { isIP } from 'node:net';
import { type Converter, DOMString } from './webidl.js';

/** An address of IPv4 or IPv6 as text. Throws TypeError for anything else, also for a name. */
export const ipAddress: Converter<string> = (value, context) => {
  const address = DOMString(value, context);
  if (isIP(address) === 0) throw new TypeError(`${context} is not an IP address`);
  return address;
};
