// RTCConfiguration: conversion and validation. https://w3c.github.io/webrtc-pc/#set-the-configuration

import { DOMException } from '../errors.js';
import {
  type Converter,
  DOMString,
  dictionary,
  enumeration,
  instance,
  isObject,
  octet,
  sequence,
  USVString,
} from '../webidl.js';
import { isRTCCertificate, type RTCCertificate } from './certificate.js';

/** `(USVString or sequence<USVString>)`, as the sequence that `getConfiguration` returns. */
const urls: Converter<string[]> = (value, context) =>
  isObject(value) && Symbol.iterator in value ? sequence(USVString)(value, context) : [USVString(value, context)];

const RTCIceServer = dictionary('RTCIceServer', {
  credential: { type: DOMString },
  urls: { type: urls, required: true },
  username: { type: DOMString },
});

/** `sequence<RTCIceServer>`: null is no dictionary here, since each must have its urls. */
const RTCConfiguration = dictionary('RTCConfiguration', {
  bundlePolicy: {
    type: enumeration('RTCBundlePolicy', ['balanced', 'max-compat', 'max-bundle']),
    default: () => 'balanced' as const,
  },
  certificates: {
    type: sequence(instance('RTCCertificate', (value): value is RTCCertificate => isRTCCertificate(value))),
    default: () => [],
  },
  iceCandidatePoolSize: { type: octet('enforceRange'), default: () => 0 },
  iceServers: { type: sequence(RTCIceServer), default: () => [] },
  iceTransportPolicy: {
    type: enumeration('RTCIceTransportPolicy', ['relay', 'all']),
    default: () => 'all' as const,
  },
  rtcpMuxPolicy: { type: enumeration('RTCRtcpMuxPolicy', ['require']), default: () => 'require' as const },
});

export type Configuration = ReturnType<typeof RTCConfiguration>;

/** RFC 7064 and RFC 7065: scheme, host, port and, for TURN, the transport. */
const SERVER_URL = /^(stuns?|turns?):(\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]+)(?::(\d{1,5}))?(\?transport=[\w.~-]+)?$/i;

/** Steps of "set a configuration" that need no connection; `context` names the caller. */
export function convertConfiguration(value: unknown, context: string): Configuration {
  const configuration = RTCConfiguration(value, context);
  const now = Date.now();
  for (const certificate of configuration.certificates) {
    if (certificate.expires <= now)
      throw new DOMException(`${context}: a certificate has expired`, 'InvalidAccessError');
  }
  for (const server of configuration.iceServers) {
    if (server.urls.length === 0) throw new DOMException(`${context}: a server without a URL`, 'SyntaxError');
    for (const url of server.urls) {
      const [matched, scheme = '', , port, transport] = SERVER_URL.exec(url) ?? [];
      const isTurn = /^turn/i.test(scheme);
      if (
        matched === undefined ||
        (port !== undefined && Number(port) > 65535) ||
        (transport !== undefined && !isTurn)
      ) {
        throw new DOMException(`${context}: '${url}' is not the URL of an ICE server`, 'SyntaxError');
      }
      if (isTurn && (server.username === undefined || server.credential === undefined)) {
        throw new DOMException(`${context}: '${url}' needs a username and a credential`, 'InvalidAccessError');
      }
    }
  }
  return configuration;
}

/** What may not change by `setConfiguration`. */
export function refuseModification(before: Configuration, after: Configuration, isPoolFixed: boolean): void {
  const refuse = (member: string): never => {
    throw new DOMException(`setConfiguration: ${member} cannot change`, 'InvalidModificationError');
  };
  const sameCertificates =
    after.certificates.length === before.certificates.length &&
    after.certificates.every((certificate) => before.certificates.includes(certificate));
  if (after.certificates.length > 0 && !sameCertificates) refuse('certificates');
  if (after.bundlePolicy !== before.bundlePolicy) refuse('bundlePolicy');
  if (after.rtcpMuxPolicy !== before.rtcpMuxPolicy) refuse('rtcpMuxPolicy');
  if (isPoolFixed && after.iceCandidatePoolSize !== before.iceCandidatePoolSize) refuse('iceCandidatePoolSize');
}

/** A copy for `getConfiguration`. */
export function copyConfiguration(configuration: Configuration): Configuration {
  return {
    ...configuration,
    certificates: [...configuration.certificates],
    iceServers: configuration.iceServers.map((server) => ({ ...server, urls: [...server.urls] })),
  };
}
