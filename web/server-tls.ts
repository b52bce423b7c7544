// Who a server is, and what TLS says of its clients: the options and the members that both servers share.

import type { X509Certificate } from 'node:crypto';
import { pemText, trustWhatNodeTrusts } from './tls.js';
import { any, boolean, dictionary, isObject } from './webidl.js';

/** A certificate chain and its key, PEM; without a name for all names that no other is for. */
export interface NamedCertificate {
  name?: string;
  cert: string;
  key: string;
}

/** What clients are asked for. */
export interface ClientCertificates {
  ca?: string[];
  rejectUnauthorized: boolean;
}

/** Who the server is: one certificate, and others by name. */
export const certificateMembers = {
  cert: { type: any },
  certificates: { type: any },
  key: { type: any },
} as const;

/** Who its clients are. */
export const clientCertificateMembers = {
  ca: { type: any },
  rejectUnauthorized: { type: boolean, default: () => true },
  requestCert: { type: boolean, default: () => false },
} as const;

const certificateDictionary = dictionary('ServerCertificates', certificateMembers);

/** The argument of `setCertificate()`. */
export function convertCertificates(given: unknown): NamedCertificate[] {
  const certificates = collectCertificates(certificateDictionary(given, 'certificates'));
  if (certificates.length === 0) throw new TypeError('certificates: there is none');
  return certificates;
}

/** The certificates of a server's options. Throws TypeError for what is none. */
export function collectCertificates(options: {
  cert?: unknown;
  key?: unknown;
  certificates?: unknown;
}): NamedCertificate[] {
  const { cert, key, certificates } = options;
  const collected: NamedCertificate[] = [];
  // One of them alone is told what it lacks.
  if (cert !== undefined || key !== undefined) collected.push({ cert: textOf(cert, 'cert'), key: textOf(key, 'key') });
  if (certificates === undefined) return collected;
  if (!isObject(certificates)) throw new TypeError('certificates is not an object');
  const byName = Object.entries(certificates);
  // A server that was to have TLS must not go without.
  if (byName.length === 0 && collected.length === 0) throw new TypeError('certificates: there is none');
  for (const [name, named] of byName) {
    const pair = certificateDictionary(named, `certificates: ${name}`);
    collected.push({ name, cert: pemText(pair.cert, `cert of ${name}`), key: pemText(pair.key, `key of ${name}`) });
  }
  return collected;
}

const textOf = (pem: unknown, name: string): string => (pem === undefined ? '' : pemText(pem, name));

/** What clients are asked for by these options; `undefined` when it is nothing. */
export function collectClientCertificates(options: {
  ca?: unknown;
  rejectUnauthorized: boolean;
  requestCert: boolean;
}): ClientCertificates | undefined {
  const { ca, rejectUnauthorized, requestCert } = options;
  if (!requestCert) return undefined;
  if (ca !== undefined) {
    return { ca: (Array.isArray(ca) ? ca : [ca]).map((pem) => pemText(pem, 'ca')), rejectUnauthorized };
  }
  trustWhatNodeTrusts();
  return { rejectUnauthorized };
}

/** What TLS says of a client. */
export interface ClientTls {
  /** The name that it asked for, or an empty string. */
  readonly servername: string;
  /** The version: `TLSv1.2` or `TLSv1.3`. */
  readonly protocol: string;
  /** It has a certificate that can be trusted. */
  readonly authorized: boolean;
  readonly peerCertificate: X509Certificate | undefined;
}

/** How many fields of the native core's text `parseClientTls` reads. */
export const CLIENT_TLS_FIELDS = 4;

/** Name, version, '1' or nothing, and the certificate in hexadecimal digits; see `TlsPeer::fields`. */
export function parseClientTls(fields: readonly string[]): ClientTls {
  const [servername = '', protocol = '', authorized = '', certificate = ''] = fields;
  return {
    servername,
    protocol,
    authorized: authorized !== '',
    peerCertificate: certificate === '' ? undefined : certificateOf(Buffer.from(certificate, 'hex')),
  };
}

/** A certificate that Node can't read is as good as none. */
function certificateOf(der: Uint8Array): X509Certificate | undefined {
  const { X509Certificate } = process.getBuiltinModule('node:crypto');
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
