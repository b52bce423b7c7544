// RTCCertificate and its making. https://w3c.github.io/webrtc-pc/#rtccertificate-interface

import { DOMException } from '../errors.js';
import { DOMString, defineInterface, dictionary, illegalConstructor, isObject, unsignedLongLong } from '../webidl.js';
import { binding, type NativeFingerprint } from './native.js';
import { KEY } from './task.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const DEFAULT_LIFE_MS = 30 * DAY_MS;
/** The longest life that webrtc-pc lets a certificate have. */
const MAX_LIFE_MS = 365 * DAY_MS;

/** A certificate and its key, PEM. */
export interface Keys {
  readonly certificate: string;
  readonly privateKey: string;
}

/** What the transport needs of a certificate. */
export let keysOf: (certificate: RTCCertificate) => Keys;

export let isRTCCertificate: (value: unknown) => value is RTCCertificate;

export class RTCCertificate {
  readonly #keys: Keys;
  readonly #fingerprint: string;
  readonly #expires: number;

  constructor(key: symbol, keys: Keys, fingerprint: string, expires: number) {
    if (key !== KEY) throw illegalConstructor();
    this.#keys = keys;
    this.#fingerprint = fingerprint;
    this.#expires = expires;
  }

  get expires(): number {
    return this.#expires;
  }

  getFingerprints(): NativeFingerprint[] {
    return [{ algorithm: 'sha-256', value: this.#fingerprint.toLowerCase() }];
  }

  static {
    keysOf = (certificate) => certificate.#keys;
    isRTCCertificate = (value): value is RTCCertificate => isObject(value) && #keys in value;
  }
}

defineInterface(RTCCertificate, { constructorLength: 0 });

/** A fresh ECDSA P-256 certificate that is valid for `lifeMs`. */
export function makeCertificate(lifeMs = DEFAULT_LIFE_MS): RTCCertificate {
  const now = Date.now();
  const expires = now + Math.min(lifeMs, MAX_LIFE_MS);
  // A day back, for peers whose clock is behind.
  const { certificate, key, sha256 } = binding.generateCertificate('webwire', [], now - DAY_MS, expires);
  return new RTCCertificate(KEY, { certificate, privateKey: key }, sha256, expires);
}

const RTCCertificateExpiration = dictionary('RTCCertificateExpiration', {
  expires: { type: unsignedLongLong('enforceRange') },
});

const EcKeyGenParams = dictionary('EcKeyGenParams', {
  name: { type: DOMString, required: true },
  namedCurve: { type: DOMString },
});

/**
 * `RTCPeerConnection.generateCertificate`.
 *
 * Differs from the spec: RSASSA-PKCS1-v1_5 is not supported, since RSA keys take long to make and ECDSA is always enough.
 */
export function generateCertificate(keygenAlgorithm: unknown): RTCCertificate {
  const context = 'RTCPeerConnection.generateCertificate';
  const given = isObject(keygenAlgorithm) ? keygenAlgorithm : { name: DOMString(keygenAlgorithm, context) };
  const { expires } = RTCCertificateExpiration(given, context);
  const { name, namedCurve } = EcKeyGenParams(given, context);
  if (name.toUpperCase() !== 'ECDSA' || namedCurve !== 'P-256') {
    throw new DOMException(`${context}: only ECDSA with P-256 is supported`, 'NotSupportedError');
  }
  return makeCertificate(expires);
}
