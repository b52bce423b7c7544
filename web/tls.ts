// The TLS part of options: what Node trusts, and ca, cert, key, servername, rejectUnauthorized in the native core's form.

import { readFileSync } from 'node:fs';
import { native } from './binding.js';

const { hasDefaultRoots, setDefaultRoots } = native<{
  hasDefaultRoots(): boolean;
  setDefaultRoots(pem: string[]): void;
}>();

/** PEM, as Node's TLS options take it. */
export type Pem = string | ArrayBufferView | ArrayBuffer;

export interface TlsOptions {
  ca?: Pem | Pem[] | undefined;
  cert?: Pem | undefined;
  key?: Pem | undefined;
  servername?: string | undefined;
  rejectUnauthorized?: boolean | undefined;
}

/** In the native core's form. */
export interface NativeTlsOptions {
  ca?: string[];
  cert?: string;
  key?: string;
  servername?: string;
  rejectUnauthorized?: boolean;
}

/** Tells the native core what Node trusts, once for the process; called before the first TLS connection. */
export function trustWhatNodeTrusts(): void {
  if (hasDefaultRoots()) return;
  const tls = process.getBuiltinModule('node:tls');
  const certificates = (tls as { getCACertificates?: (type: 'default') => string[] }).getCACertificates;
  if (certificates !== undefined) {
    setDefaultRoots([...certificates('default')]);
    return;
  }
  const roots = [...tls.rootCertificates];
  const extra = process.env.NODE_EXTRA_CA_CERTS;
  if (extra !== undefined && extra !== '') {
    try {
      roots.push(readFileSync(extra, 'utf8'));
    } catch {
      // Node itself warns at its start that the file can't be read, and goes on without it.
    }
  }
  setDefaultRoots(roots);
}

/** Text of a PEM option. Throws TypeError for anything else. */
export function pemText(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString('utf8');
  throw new TypeError(`${name} must be PEM: a string, an ArrayBuffer or a view`);
}

/** Checks the TLS members of an options object. Throws TypeError before anything is dialled. */
export function convertTlsOptions(options: TlsOptions): NativeTlsOptions {
  const converted: NativeTlsOptions = {};
  if (options.ca !== undefined) {
    converted.ca = (Array.isArray(options.ca) ? options.ca : [options.ca]).map((pem) => pemText(pem, 'ca'));
  }
  if (options.cert !== undefined) converted.cert = pemText(options.cert, 'cert');
  if (options.key !== undefined) converted.key = pemText(options.key, 'key');
  if (options.servername !== undefined) converted.servername = String(options.servername);
  if (options.rejectUnauthorized !== undefined) converted.rejectUnauthorized = options.rejectUnauthorized !== false;
  return converted;
}
