// Certificates for servers that clients know by `serverCertificateHashes` instead of by an authority.
// https://www.w3.org/TR/webtransport/#custom-certificate-requirements

import { DOMString, dictionary, double, sequence } from '../webidl.js';
import { nativeGenerateCertificate } from './native.js';

const DAY_MS = 86_400_000;
/** The longest that the rules allow is 14; clocks differ. */
const DEFAULT_DAYS = 13;
/** The certificate is valid from a little before now: clocks differ. */
const BEFORE_MS = 3_600_000;

const GenerateCertificateOptions = dictionary('GenerateCertificateOptions', {
  days: { type: double, default: () => DEFAULT_DAYS },
  names: { type: sequence(DOMString), default: () => ['localhost', '127.0.0.1', '::1'] },
});

export interface Certificate {
  certificate: string;
  key: string;
  hash: Uint8Array<ArrayBuffer>;
}

/** A fresh self-signed certificate, its key, and the hash to give to `serverCertificateHashes`. */
export function generateCertificate(options: unknown = {}): Certificate {
  const { days, names } = GenerateCertificateOptions(options, "Failed to execute 'generateCertificate': options");
  const begin = Date.now() - BEFORE_MS;
  const { certificate, key, sha256 } = nativeGenerateCertificate('webwire', names, begin, begin + days * DAY_MS);
  return { certificate, key, hash: Uint8Array.from(sha256.split(':'), (pair) => Number.parseInt(pair, 16)) };
}
