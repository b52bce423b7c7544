// Both ends of an RTCPeerConnection with one data channel. See apis.mjs.

import { behave, near } from './channel.mjs';

/** Carries descriptions and candidates; an offer is answered. */
function negotiate(connection, signal) {
  connection.onicecandidate = ({ candidate }) => {
    if (candidate) signal.send({ candidate: candidate.toJSON() });
  };
  const describe = async () => {
    await connection.setLocalDescription();
    const { type, sdp } = connection.localDescription;
    signal.send({ description: { type, sdp } });
  };
  const receive = async ({ description, candidate }) => {
    if (candidate) return connection.addIceCandidate(candidate);
    await connection.setRemoteDescription(description);
    if (description.type === 'offer') await describe();
  };
  signal.onmessage = (message) => {
    // What arrives after close() has nothing to change any more.
    receive(message).catch((error) => {
      if (connection.signalingState !== 'closed') throw error;
    });
  };
  return describe;
}

export const webrtc = {
  // The channel: its connection is the first object.
  provoked: 2,

  /** Answers each offer; the label of a channel is what the channel then does. */
  async serve({ RTCPeerConnection }) {
    const connections = new Set();
    return {
      object: undefined,
      at: {},
      answer(signal) {
        const connection = new RTCPeerConnection();
        connections.add(connection);
        connection.ondatachannel = ({ channel }) => behave(channel, channel.label);
        negotiate(connection, signal);
      },
      async close() {
        for (const connection of connections) connection.close();
      },
    };
  },

  connect({ RTCPeerConnection }, _at, mode, signal) {
    const connection = new RTCPeerConnection();
    const channel = connection.createDataChannel(mode);
    const describe = negotiate(connection, signal);
    const ends = near(channel);
    describe().catch((error) => {
      if (connection.signalingState !== 'closed') throw error;
    });
    return {
      object: connection,
      ...ends,
      /** The channel's end, or the connection's failure; close() of the connection itself fires no event. */
      closed: () =>
        Promise.race([
          ends.closed(),
          new Promise((resolve) => {
            connection.addEventListener('connectionstatechange', () => {
              if (connection.connectionState === 'failed') resolve();
            });
          }),
        ]),
      provoke: () => channel.send('text'),
      close: () => connection.close(),
      forget() {
        connection.onicecandidate = null;
        signal.onmessage = undefined;
      },
    };
  },
};
