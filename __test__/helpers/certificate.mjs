// A fresh self-signed certificate for tests: ECDSA P-256, valid for ten days, so that it also meets the rules of
// serverCertificateHashes. X.509 by hand (RFC 5280), since Node can only read certificates.
// https://www.w3.org/TR/webtransport/#custom-certificate-requirements

import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const DAY_MS = 86_400_000;

/** One DER element: its tag, its length in the shortest form, its content. */
function element(tag, ...contents) {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const length = content.length < 0x100 ? [0x81, content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...contents) => element(0x30, ...contents);
const set = (...contents) => element(0x31, ...contents);
const octets = (...contents) => element(0x04, ...contents);
const identifier = (hex) => element(0x06, Buffer.from(hex, 'hex'));
const time = (date) => element(0x17, Buffer.from(`${date.toISOString().replace(/\D/g, '').slice(2, 14)}Z`));
const bits = (bytes) => element(0x03, Buffer.from([0]), bytes);

const ECDSA_WITH_SHA256 = sequence(identifier('2a8648ce3d040302'));
const RSA_WITH_SHA256 = sequence(identifier('2a864886f70d01010b'), element(0x05));
const COMMON_NAME = identifier('550403');
const SUBJECT_ALT_NAME = identifier('551d11');

const BASIC_CONSTRAINTS = identifier('551d13');
const NAME_CONSTRAINTS = identifier('551d1e');
const TRUE = element(0x01, Buffer.from([0xff]));

/**
 * Makes a certificate for localhost, 127.0.0.1 and ::1; an authority's, if `authority` says so, which names hosts only if `names`
 * are given, and may sign for names below those of `permits` only. It is signed by itself, or by the certificate `issuer`, an
 * authority's. Its key is of RSA with `rsaBits`, where they are given; with `alternatives: false` it names its host as
 * `commonName` only, as certificates did long ago. It is valid for `days`, from `fromDays` after now on.
 * Returns `{ cert, key, hash }`: two PEM texts, and the SHA-256 of the DER as `serverCertificateHashes` wants it.
 */
export function createCertificate(options = {}) {
  const { names = ['localhost'], fromDays = -1, days = 10, authority = false, permits, issuer, rsaBits } = options;
  const { alternatives: named = !authority || options.names !== undefined } = options;
  const { privateKey, publicKey } = rsaBits
    ? generateKeyPairSync('rsa', { modulusLength: rsaBits })
    : generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { commonName = authority ? `webwire test authority ${randomBytes(4).toString('hex')}` : 'webwire test' } =
    options;
  const signer = issuer?.privateKey ?? privateKey;
  const algorithm = signer.asymmetricKeyType === 'rsa' ? RSA_WITH_SHA256 : ECDSA_WITH_SHA256;
  const name = sequence(set(sequence(COMMON_NAME, element(0x0c, Buffer.from(commonName)))));
  const alternatives = sequence(
    ...names.map((dns) => element(0x82, Buffer.from(dns))),
    element(0x87, Buffer.from([127, 0, 0, 1])),
    element(0x87, Buffer.from([198, 51, 100, 1])),
    element(0x87, Buffer.from([...new Array(15).fill(0), 1])),
  );
  const subtrees = permits?.map((dns) => sequence(element(0x82, Buffer.from(dns))));
  const extensions = [
    ...(authority ? [sequence(BASIC_CONSTRAINTS, TRUE, octets(sequence(TRUE)))] : []),
    ...(permits ? [sequence(NAME_CONSTRAINTS, TRUE, octets(sequence(element(0xa0, ...subtrees))))] : []),
    ...(named ? [sequence(SUBJECT_ALT_NAME, octets(alternatives))] : []),
  ];
  const began = Date.now() + fromDays * DAY_MS;
  const serial = randomBytes(8);
  serial[0] = (serial[0] & 0x7f) | 0x40; // positive, and no leading zero byte
  const toBeSigned = sequence(
    element(0xa0, element(0x02, Buffer.from([2]))),
    element(0x02, serial),
    algorithm,
    issuer?.name ?? name,
    sequence(time(new Date(began)), time(new Date(began + days * DAY_MS))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length > 0 ? [element(0xa3, sequence(...extensions))] : []),
  );
  const der = sequence(toBeSigned, algorithm, bits(sign('sha256', toBeSigned, signer)));
  const lines = der.toString('base64').match(/.{1,64}/g);
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    hash: createHash('sha256').update(der).digest(),
    privateKey,
    name,
  };
}
