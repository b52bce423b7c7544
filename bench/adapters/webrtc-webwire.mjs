// webwire's RTCPeerConnection and RTCDataChannel.
import { RTCPeerConnection } from 'webwire/webrtc';

/**
 * One end of a connection with one data channel.
 *
 * @param events `signal(message)` carries a message to the other end's `receive`, `open(channel)` says that the channel
 *   can be used, `message(channel, data)` brings a string or bytes.
 */
export function createPeer(events) {
  const connection = new RTCPeerConnection();
  connection.onicecandidate = ({ candidate }) => {
    if (candidate) events.signal({ candidate: candidate.toJSON() });
  };
  connection.ondatachannel = ({ channel }) => adopt(channel, events);
  let closed = false;
  return {
    async offer() {
      adopt(connection.createDataChannel('bench'), events);
      await connection.setLocalDescription();
      events.signal({ description: connection.localDescription.toJSON() });
    },
    async receive({ description, candidate }) {
      if (closed) return;
      if (candidate) {
        await connection.addIceCandidate(candidate);
        return;
      }
      await connection.setRemoteDescription(description);
      if (description.type === 'offer') {
        await connection.setLocalDescription();
        events.signal({ description: connection.localDescription.toJSON() });
      }
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
    send: (data) => channel.send(data),
    bufferedAmount: () => channel.bufferedAmount,
    /** Resolves when no more than `threshold` bytes wait. */
    drained(threshold) {
      channel.bufferedAmountLowThreshold = threshold;
      return new Promise((resolve) => {
        if (channel.bufferedAmount <= threshold) resolve();
        else low = resolve;
      });
    },
  };
  channel.binaryType = 'arraybuffer';
  channel.onopen = () => events.open(adapted);
  channel.onmessage = (event) => events.message(adapted, event.data);
  channel.onbufferedamountlow = () => low();
}
