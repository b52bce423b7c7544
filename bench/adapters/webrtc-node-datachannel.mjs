// node-datachannel through its own interface, which costs less than its polyfill of the standard's.
import { PeerConnection } from 'node-datachannel';

/** The same shape as in webrtc-webwire.mjs. */
export function createPeer(events) {
  const connection = new PeerConnection('bench', { iceServers: [] });
  connection.onLocalDescription((sdp, type) => events.signal({ description: { type, sdp } }));
  connection.onLocalCandidate((candidate, mid) => events.signal({ candidate: { candidate, mid } }));
  connection.onDataChannel((channel) => adopt(channel, events));
  // Its callbacks don't always come in order: candidates wait for the description.
  let early = [];
  let closed = false;
  return {
    async offer() {
      adopt(connection.createDataChannel('bench'), events);
    },
    async receive({ description, candidate }) {
      // It closes by itself when the other end has; candidates may still be on their way.
      if (closed || connection.state() === 'closed') return;
      if (description) {
        connection.setRemoteDescription(description.sdp, description.type);
        for (const waiting of early) connection.addRemoteCandidate(waiting.candidate, waiting.mid);
        early = undefined;
      } else if (early) early.push(candidate);
      else connection.addRemoteCandidate(candidate.candidate, candidate.mid);
    },
    close() {
      closed = true;
      connection.close();
    },
  };
}

function adopt(channel, events) {
  let low = () => {};
  const adapted = {
    send: (data) => (typeof data === 'string' ? channel.sendMessage(data) : channel.sendMessageBinary(data)),
    bufferedAmount: () => channel.bufferedAmount(),
    drained(threshold) {
      channel.setBufferedAmountLowThreshold(threshold);
      return new Promise((resolve) => {
        if (channel.bufferedAmount() <= threshold) resolve();
        else low = resolve;
      });
    },
  };
  channel.onMessage((data) => events.message(adapted, data));
  channel.onBufferedAmountLow(() => low());
  if (channel.isOpen()) events.open(adapted);
  else channel.onOpen(() => events.open(adapted));
}
