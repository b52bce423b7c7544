// The states of a connection, derived from those of its transports.
// https://w3c.github.io/webrtc-pc/#rtciceconnectionstate-enum, https://w3c.github.io/webrtc-pc/#rtcpeerconnectionstate-enum

import type { DtlsTransportState } from './dtls-transport.js';
import type { IceTransportState } from './ice-transport.js';

export type IceConnectionState = IceTransportState;
export type ConnectionState = 'new' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

/** Of a connection that is not closed and has this transport, or none. */
export function iceConnectionStateOf(ice: IceTransportState | undefined): IceConnectionState {
  return ice === undefined || ice === 'closed' ? 'new' : ice;
}

/** Of a connection that is not closed and has these transports, or none. */
export function connectionStateOf(
  ice: IceTransportState | undefined,
  dtls: DtlsTransportState | undefined,
): ConnectionState {
  if (ice === undefined || dtls === undefined) return 'new';
  if (ice === 'failed' || dtls === 'failed') return 'failed';
  if (ice === 'disconnected') return 'disconnected';
  const isNew = (state: string): boolean => state === 'new' || state === 'closed';
  if (isNew(ice) && isNew(dtls)) return 'new';
  const isConnected = (state: string): boolean => ['connected', 'completed', 'closed'].includes(state);
  return isConnected(ice) && isConnected(dtls) ? 'connected' : 'connecting';
}
