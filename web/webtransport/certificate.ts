// Certificates for servers that clients know by `serverCertificateHashes` instead of by an authority.
// https://www.w3.org/TR/webtransport/#custom-certificate-requirements

import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { fromNative } from '../errors.js';
import { type Converter, DOMString, dictionary, double, sequence } from '../webidl.js';
import { nativeGenerateCertificate } from './native.js';

const DAY_MS = 86_400_000;
/** The longest that the rules allow is 14; clocks differ. */
const DEFAULT_DAYS = 13;
/** The certificate is valid from a little before now: clocks differ. */
const BEFORE_MS = 3_600_000;

/** A host as URLs have it: a name, `*.` before it for all names one label longer, or an IP address. */
const host: Converter<string> = (value, context) => {
  const given = DOMString(value, context);
  const address = given.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) !== 0) return address;
  const [, wildcard = '', name = ''] = /^(\*\.)?(.*)$/.exec(given) ?? [];
  const ascii = domainToASCII(name);
  if (ascii === '' || ascii.includes('*'))
    throw new TypeError(`${context}: '${given}' is neither a host name nor an IP address`);
  return wildcard + ascii;
};

/** A time of some length. */
const days: Converter<number> = (value, context) => {
  const converted = double(value, context);
  if (converted <= 0) throw new RangeError(`${context} must be above 0`);
  return converted;
};

const GenerateCertificateOptions = dictionary('GenerateCertificateOptions', {
  days: { type: days, default: () => DEFAULT_DAYS },
  names: { type: sequence(host), default: () => ['localhost', '127.0.0.1', '::1'] },
});

export interface Certificate {
  certificate: string;
  key: string;
  hash: Uint8Array<ArrayBuffer>;
}

/** A fresh self-signed certificate, its key, and the hash to give to `serverCertificateHashes`. */
export function generateCertificate(options: unknown = {}): Certificate {
  const converted = GenerateCertificateOptions(options, "Failed to execute 'generateCertificate': options");
  const begin = Date.now() - BEFORE_MS;
  const end = begin + converted.days * DAY_MS;
  try {
    const { certificate, key, sha256 } = nativeGenerateCertificate('webwire', converted.names, begin, end);
    return { certificate, key, hash: Uint8Array.from(sha256.split(':'), (pair) => Number.parseInt(pair, 16)) };
  } catch (error) {
    throw fromNative(error);
  }
}
