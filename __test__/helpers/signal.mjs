// Signalling between two ends of an RTCPeerConnection: a pair of linked ends, each `{ send(message), onmessage }`.
// A message waits until the other end listens; order is kept.

class SignalEnd {
  #other;
  #held = [];
  #handler;

  static pair() {
    const [near, far] = [new SignalEnd(), new SignalEnd()];
    near.#other = far;
    far.#other = near;
    return [near, far];
  }

  send(message) {
    const other = this.#other;
    const copy = structuredClone(message);
    if (other.#handler) queueMicrotask(() => other.#handler(copy));
    else other.#held.push(copy);
  }

  get onmessage() {
    return this.#handler;
  }

  set onmessage(handler) {
    this.#handler = handler;
    if (!handler) return;
    for (const message of this.#held.splice(0)) queueMicrotask(() => handler(message));
  }
}

export const signalPair = SignalEnd.pair;

/** An end of signalling whose other end is behind a MessagePort (or a Worker): `{ signal }` messages carry it. */
export function portSignal(port) {
  const [near, far] = signalPair();
  far.onmessage = (message) => port.postMessage({ signal: message });
  port.on('message', (message) => {
    if (message?.signal) far.send(message.signal);
  });
  return near;
}
