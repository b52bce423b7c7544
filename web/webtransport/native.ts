// The native core's part of WebTransport (src/webtransport/), as TypeScript sees it.

import { native } from '../binding.js';
import type { ClientCertificates, NamedCertificate } from '../server-tls.js';
import type { NativeTlsOptions } from '../tls.js';

export interface NativeSession {
  close(code: number, reason: string): void;
  openStream(sending: number, receiving: number, operation: number | undefined): boolean;
  takeStream(key: number, sending: number, receiving: number): boolean;
  acceptStream(sending: number, receiving: number): boolean;
  setPlace(id: number, group: number, order: number): void;
  write(id: number, chunk: Uint8Array): boolean;
  writeAtomic(id: number, chunk: Uint8Array): void;
  reset(id: number, code: number): void;
  receive(id: number, target: Uint8Array): number;
  read(id: number, target: Uint8Array): number;
  received(id: number): number;
  stop(id: number, code: number): void;
  flush(commands: Uint8Array, count: number): void;
  sendDatagram(payload: Uint8Array, writable: number, group: number, order: number, waitedMs: number): boolean;
  takeDatagrams(bytes: Uint8Array, marks: Uint8Array): number;
  waitingDatagrams(): number;
  loseDatagrams(dropped: number, expired: number): void;
  maxDatagramSize(): number;
  setIncomingDatagrams(maxBuffered: number, maxAgeMs: number | undefined): void;
  setOutgoingDatagrams(maxBuffered: number, maxAgeMs: number | undefined): void;
  stats(): string | null;
  exportKeyingMaterial(label: Uint8Array, context: Uint8Array, target: Uint8Array): boolean;
  anticipateStreams(bidirectional: number, unidirectional: number): void;
}

export interface NativeListener {
  accept(
    hub: unknown,
    id: number,
    key: number,
    protocol: string | undefined,
    headers: string[],
  ): NativeSession | number;
  reject(key: number, status: number, headers: string[], body: string): boolean;
  takeRequestStream(hub: unknown, id: number, key: number): NativeRequestStream | null;
  setCertificates(certificates: NamedCertificate[]): void;
  takeRefusals(): NativeRefusals;
  dropRefusals(): void;
  sessions(): number;
  close(timeoutMs: number, code: number, reason: string): void;
}

/** The `accept` of a request whose connection has as many sessions as it may have. */
export const FULL = 1;

/** Clients that were not let in, and how many came behind them. */
export interface NativeRefusals {
  readonly clients: readonly string[];
  readonly more: number;
}

/** A plain HTTP/3 request: its content, and its answer. */
export interface NativeRequestStream {
  available(): number;
  read(target: Uint8Array): number;
  stop(): void;
  respond(status: number, headers: string[]): void;
  write(chunk: Uint8Array): boolean;
  finish(): void;
  reset(): void;
}

export interface ConnectOptions {
  host: string;
  port: number;
  authority: string;
  path: string;
  protocols: string[];
  headers: string[];
  serverCertificateHashes: Uint8Array[] | undefined;
  idleTimeoutMs: number;
  localAddress: string | undefined;
  tls: NativeTlsOptions;
  anticipatedBidirectional: number;
  anticipatedUnidirectional: number;
  allowPooling: boolean;
}

export interface ListenOptions {
  host: string | undefined;
  port: number;
  certificates: NamedCertificate[];
  clientCertificates: ClientCertificates | undefined;
  limits: ListenLimits;
  servesPlainRequests: boolean;
}

/** What clients may make a server hold; see `src/webtransport/limits.rs`. */
export interface ListenLimits {
  maxConnections: number;
  maxSessionsPerConnection: number;
  maxStreamsPerConnection: number;
  maxPendingHandshakes: number;
  maxUnprovenHandshakes: number;
  maxPendingRequests: number;
  maxUnreadBytesPerStream: number;
  maxUnreadBytesPerConnection: number;
  maxQueuedBytesPerConnection: number;
  handshakeTimeoutMs: number;
  requestTimeoutMs: number;
  responseTimeoutMs: number;
  idleTimeoutMs: number;
  keepAliveIntervalMs: number | undefined;
}

type EventName =
  | 'Ready'
  | 'Closed'
  | 'Failed'
  | 'Stats'
  | 'Draining'
  | 'IncomingBidirectional'
  | 'IncomingUnidirectional'
  | 'StreamOpened'
  | 'DatagramsReadable'
  | 'DatagramsWritable'
  | 'Ended'
  | 'Writable'
  | 'AtomicWritten'
  | 'Finished'
  | 'Stopped'
  | 'SendEnded'
  | 'Readable'
  | 'ReceiveFinished'
  | 'Reset'
  | 'ReceiveEnded'
  | 'Listening'
  | 'ListenFailed'
  | 'Request'
  | 'PlainRequest'
  | 'RequestStreamEnded'
  | 'RequestGone'
  | 'Refused'
  | 'ListenerEnded';

export const {
  WebTransportEvent: Kind,
  WebTransportSession: NativeSession,
  WebTransportListener: NativeListener,
  generateCertificate: nativeGenerateCertificate,
} = native<{
  WebTransportEvent: Readonly<Record<EventName, number>>;
  WebTransportSession: new (hub: unknown, id: number, options: ConnectOptions) => NativeSession;
  WebTransportListener: new (hub: unknown, id: number, options: ListenOptions) => NativeListener;
  generateCertificate(
    commonName: string,
    names: string[],
    notBeforeMs: number,
    notAfterMs: number,
  ): { certificate: string; key: string; sha256: string };
}>();
