// Two RTCPeerConnections in one process, joined by their own candidates.

import { once } from 'node:events';
import webwire from '../../index.js';

const { RTCPeerConnection } = webwire;

/** Connections that are closed when the test ends. */
export function peers(t, count = 2, configuration = {}) {
  const made = Array.from({ length: count }, () => new RTCPeerConnection(configuration));
  t.after(() => {
    for (const peer of made) peer.close();
  });
  return made;
}

/** Hands the candidates of both on to the other. */
export function trickle(a, b) {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ]) {
    from.addEventListener('icecandidate', ({ candidate }) => {
      if (candidate !== null && to.signalingState !== 'closed') to.addIceCandidate(candidate);
    });
  }
}

export async function negotiate(offerer, answerer) {
  await offerer.setLocalDescription();
  await answerer.setRemoteDescription(offerer.localDescription);
  await answerer.setLocalDescription();
  await offerer.setRemoteDescription(answerer.localDescription);
}

/** Two connected peers and the two ends of an open channel. */
export async function openChannel(t, options = {}) {
  const [a, b] = peers(t);
  trickle(a, b);
  const near = a.createDataChannel('near', options);
  const far = options.negotiated
    ? Promise.resolve(b.createDataChannel('near', options))
    : once(b, 'datachannel').then(([{ channel }]) => channel);
  const opened = once(near, 'open');
  await negotiate(a, b);
  const farChannel = await far;
  if (farChannel.readyState !== 'open') await once(farChannel, 'open');
  await opened;
  return { a, b, near, far: farChannel };
}

/** The next `count` messages of a channel. */
export function messages(channel, count) {
  return new Promise((resolve) => {
    const got = [];
    channel.addEventListener('message', function listen({ data }) {
      got.push(data);
      if (got.length < count) return;
      channel.removeEventListener('message', listen);
      resolve(got);
    });
  });
}

/** An assertion's check of an exception by its name. */
export const named = (name) => (error) => {
  if (error.name !== name) throw new Error(`${name} expected`, { cause: error });
  return true;
};
