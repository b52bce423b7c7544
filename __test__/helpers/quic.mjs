// QUIC packets by hand, as far as a client's first flight: what no library sends. https://www.rfc-editor.org/rfc/rfc9001#section-5

import { createCipheriv, createHmac, randomBytes } from 'node:crypto';

const VERSION_1 = 1;
/** A client's first datagrams have at least this size. */
const MIN_INITIAL = 1200;
const INITIAL_SALT = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex');

const hmac = (key, ...parts) => createHmac('sha256', key).update(Buffer.concat(parts)).digest();
const uint16 = (number) => Buffer.from([number >> 8, number & 0xff]);
const uint32 = (number) => Buffer.from([number >>> 24, (number >> 16) & 0xff, (number >> 8) & 0xff, number & 0xff]);
/** A length in front. */
const with8 = (...parts) => Buffer.concat([Buffer.from([Buffer.concat(parts).length]), ...parts]);
const with16 = (...parts) => Buffer.concat([uint16(Buffer.concat(parts).length), ...parts]);

/** A variable-length integer, of two bytes or four. */
const varint = (number) => (number < 0x4000 ? uint16(number | 0x4000) : uint32((number | 0x80000000) >>> 0));

/** HKDF-Expand-Label of TLS 1.3, for one block. */
function expand(secret, label, length) {
  const info = Buffer.concat([uint16(length), with8(Buffer.from(`tls13 ${label}`)), Buffer.from([0])]);
  return hmac(secret, info, Buffer.from([1])).subarray(0, length);
}

/**
 * A client's Initial packet with these frames, padded to a datagram, from a client of its own; a server's, if it answers that
 * packet of a client's, which `parseLongHeader` has parsed.
 */
export function initial(frames, { answers, token = Buffer.alloc(0), source = randomBytes(8), ...given } = {}) {
  const { destination = answers?.source ?? randomBytes(8) } = given;
  const initialSecret = hmac(INITIAL_SALT, answers?.destination ?? destination);
  const secret = expand(initialSecret, answers ? 'server in' : 'client in', 32);
  const [key, iv, protection] = [
    expand(secret, 'quic key', 16),
    expand(secret, 'quic iv', 12),
    expand(secret, 'quic hp', 16),
  ];
  const tokenPart = Buffer.concat([varint(token.length), token]);
  const fixed = 1 + 4 + 1 + destination.length + 1 + source.length + tokenPart.length + 2 + 4;
  const payload = Buffer.alloc(Math.max(frames.length, MIN_INITIAL - fixed - 16));
  frames.copy(payload);
  // Packet number 0 in four bytes.
  const header = Buffer.concat([
    Buffer.from([0xc3]),
    uint32(VERSION_1),
    with8(destination),
    with8(source),
    tokenPart,
    varint(4 + payload.length + 16),
    uint32(0),
  ]);
  const cipher = createCipheriv('aes-128-gcm', key, iv);
  cipher.setAAD(header);
  const packet = Buffer.concat([header, cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
  const at = header.length - 4;
  const mask = createCipheriv('aes-128-ecb', protection, null).update(packet.subarray(at + 4, at + 20));
  packet[0] ^= mask[0] & 0x0f;
  for (let index = 0; index < 4; index += 1) packet[at + index] ^= mask[1 + index];
  return packet;
}

/** A CRYPTO frame. */
export const crypto = (offset, data) => Buffer.concat([Buffer.from([6]), varint(offset), varint(data.length), data]);

const extension = (type, ...content) => Buffer.concat([uint16(type), with16(...content)]);

/** A ClientHello for HTTP/3 with these QUIC transport parameters (bytes). */
export function clientHello(transportParameters) {
  const body = Buffer.concat([
    uint16(0x0303),
    randomBytes(32),
    with8(),
    with16(uint16(0x1301)),
    with8(Buffer.from([0])),
    with16(
      extension(43, with8(uint16(0x0304))),
      extension(10, with16(uint16(0x001d))),
      extension(13, with16(uint16(0x0403), uint16(0x0807))),
      extension(51, with16(uint16(0x001d), with16(randomBytes(32)))),
      extension(16, with16(with8(Buffer.from('h3')))),
      extension(57, transportParameters),
    ),
  ]);
  return Buffer.concat([Buffer.from([1, 0]), uint16(body.length), body]);
}

/** The transport parameters that a client with this connection id must send. */
export const transportParameters = (source) => Buffer.concat([varint(15), varint(source.length), source]);

/** A packet with a long header of any version and type, and any rest. */
export function longHeader({
  first = 0xc0,
  version,
  destination = randomBytes(8),
  source = randomBytes(8),
  rest = Buffer.alloc(MIN_INITIAL),
}) {
  return Buffer.concat([Buffer.from([first]), uint32(version), with8(destination), with8(source), rest]);
}

/** The parts of a long header that every version of QUIC has. */
export function parseLongHeader(packet) {
  const destinationEnd = 6 + packet[5];
  const sourceEnd = destinationEnd + 1 + packet[destinationEnd];
  return {
    isLong: packet[0] >= 0x80,
    version: packet.readUInt32BE(1),
    /** Of version 1: 0 Initial, 1 0-RTT, 2 Handshake, 3 Retry. */
    type: (packet[0] >> 4) & 3,
    destination: packet.subarray(6, destinationEnd),
    source: packet.subarray(destinationEnd + 1, sourceEnd),
    rest: packet.subarray(sourceEnd),
  };
}
