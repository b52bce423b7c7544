// What WebSocket and RTCDataChannel have in common: messages with echo, or one-way traffic that never ends.

const CHUNK = new Uint8Array(16_384);
const IN_FLIGHT = 32;

/** The far end's behaviour: `echo`, `sink` (takes all, acknowledges each), `flood` (keeps messages in flight). */
export function behave(channel, mode) {
  channel.binaryType = 'arraybuffer';
  const send = (data) => {
    if (channel.readyState === 1 || channel.readyState === 'open') channel.send(data);
  };
  if (mode === 'echo') channel.onmessage = ({ data }) => send(data);
  else if (mode === 'sink') channel.onmessage = () => send('taken');
  else {
    // The first message says that the near end listens; each further one that it took a chunk.
    channel.onmessage = ({ data }) => {
      for (let count = data === 'begin' ? IN_FLIGHT : 1; count > 0; count -= 1) send(CHUNK);
    };
  }
}

/** The near end of all three behaviours: an open channel's part of a connection of helpers/apis.mjs. */
export function near(channel) {
  channel.binaryType = 'arraybuffer';
  return {
    opened: new Promise((resolve, reject) => {
      // Once it is open, no listener is left that would keep the channel from being collected.
      const listening = new AbortController();
      const options = { signal: listening.signal };
      const settle = (settled) => {
        listening.abort();
        settled();
      };
      channel.addEventListener('open', () => settle(resolve), options);
      channel.addEventListener('close', () => settle(() => reject(new Error('closed before it was open'))), options);
    }),
    closed() {
      return new Promise((resolve) => {
        channel.addEventListener('close', () => resolve(), { once: true });
      });
    },
    echo(data) {
      return new Promise((resolve) => {
        channel.addEventListener('message', (event) => resolve(event.data), { once: true });
        channel.send(data);
      });
    },
    /** Sends to a `sink` for ever. Resolves when the first message was taken. */
    pour() {
      return new Promise((resolve) => {
        channel.onmessage = () => {
          resolve();
          channel.send(CHUNK);
        };
        for (let count = IN_FLIGHT; count > 0; count -= 1) channel.send(CHUNK);
      });
    },
    /** Receives from a `flood` for ever. Resolves at the first message. */
    drink() {
      return new Promise((resolve) => {
        channel.onmessage = () => {
          resolve();
          channel.send('more');
        };
        channel.send('begin');
      });
    },
  };
}
