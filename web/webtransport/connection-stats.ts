// `getStats()` of a session: what QUIC and the queues of datagrams have counted.
// https://www.w3.org/TR/webtransport/#dom-webtransport-getstats

import { DOMException } from '../errors.js';
import type { Session } from './session.js';

export interface WebTransportDatagramStats {
  droppedIncoming?: number;
  expiredIncoming?: number;
  expiredOutgoing?: number;
}

export interface WebTransportConnectionStats {
  bytesSent?: number;
  bytesSentOverhead?: number;
  packetsSent?: number;
  bytesLost?: number;
  packetsLost?: number;
  bytesReceived?: number;
  smoothedRtt?: number;
  minRtt?: number;
  datagrams: WebTransportDatagramStats;
  estimatedSendRate: number | null;
  atSendCapacity: boolean;
}

/** The steps of `getStats()`. */
export async function gatherStats(session: Session): Promise<WebTransportConnectionStats> {
  // 3.
  if (hasFailed(session)) throw failed();
  // 4. 1.
  if (session.state === 'connecting') await session.ready.catch(() => {});
  // A session that is over on the network's side is about to hear of it: its last figures come with that.
  const text = session.isOpen ? session.native.stats() : null;
  if (text === null && session.isOpen) await session.over;
  // 4. 2.
  if (hasFailed(session)) throw failed();
  // 4. 3. to 4. 6.
  return parse(text ?? session.lastStats, session.preferences.allowPooling);
}

function hasFailed({ state }: Session): boolean {
  return state === 'failed';
}

function failed(): DOMException {
  return new DOMException('the session has failed', 'InvalidStateError');
}

/** Figures as `src/webtransport/statistics.rs` writes them: in this order, `-` for one that there is not. */
function parse(text: string, isPooled: boolean): WebTransportConnectionStats {
  const figures = text.split(' ').map((figure) => (figure === '-' || figure === '' ? undefined : Number(figure)));
  const [bytesSent, bytesSentOverhead, packetsSent, bytesLost, packetsLost, bytesReceived, ...others] = figures;
  const [smoothedRttUs, minRttUs, estimatedSendRate, droppedIncoming, expiredIncoming, expiredOutgoing] = others;
  const own = { bytesSent, bytesSentOverhead, packetsSent, bytesLost, packetsLost, bytesReceived };
  return {
    // Of a connection that others may share only the marked members are shown.
    ...(isPooled ? {} : present(own)),
    ...present({ smoothedRtt: milliseconds(smoothedRttUs), minRtt: milliseconds(minRttUs) }),
    datagrams: isPooled ? {} : present({ droppedIncoming, expiredIncoming, expiredOutgoing }),
    estimatedSendRate: estimatedSendRate ?? null,
    // Nobody tells us that it is not limited by the application.
    atSendCapacity: false,
  };
}

function milliseconds(microseconds: number | undefined): number | undefined {
  return microseconds === undefined ? undefined : microseconds / 1000;
}

function present(figures: Record<string, number | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(figures).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}
