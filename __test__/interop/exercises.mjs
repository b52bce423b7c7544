// One round trip of everything, for each API, in the words of the standards alone. Each function is also sent to a
// browser as text, so none may use anything from outside of itself but the globals of every realm.

/** Sends text, binary and an empty message to an echo server, then closes. Resolves to the close event's fields. */
export async function exerciseWebSocket(WebSocket, url, options) {
  const socket = new WebSocket(url, options ?? 'webwire-test');
  socket.binaryType = 'arraybuffer';
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error(`no connection to ${url}`));
  });
  const echo = (data) =>
    new Promise((resolve, reject) => {
      socket.onmessage = (event) => resolve(event.data);
      socket.onclose = (event) => reject(new Error(`closed with ${event.code} ${event.reason}`));
      socket.send(data);
    });
  const binary = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 7) & 0xff);
  for (const text of ['text with ümlauts', '']) {
    if ((await echo(text)) !== text) throw new Error('the text came back changed');
  }
  const returned = new Uint8Array(await echo(binary));
  if (returned.length !== binary.length || returned.some((byte, index) => byte !== binary[index])) {
    throw new Error('the bytes came back changed');
  }
  const closed = new Promise((resolve) => {
    socket.onclose = resolve;
  });
  socket.close(3333, 'done');
  const { code, reason, wasClean } = await closed;
  return { code, reason, wasClean, protocol: socket.protocol };
}

/**
 * Offers a channel and has its messages echoed. `signal` is `{ send(message), onmessage }`, its messages are
 * `{ description }` and `{ candidate }`. Resolves when all came back and the channel is closed.
 */
export async function offerDataChannel(connection, signal) {
  const channel = connection.createDataChannel('chat', { protocol: 'webwire-test' });
  channel.binaryType = 'arraybuffer';
  connection.onicecandidate = ({ candidate }) => {
    if (candidate) signal.send({ candidate: candidate.toJSON() });
  };
  // Candidates are held until the description that they belong to is set.
  const early = [];
  let described = false;
  const failed = new Promise((_, reject) => {
    signal.onmessage = async ({ description, candidate }) => {
      try {
        if (description) {
          await connection.setRemoteDescription(description);
          described = true;
          for (const held of early.splice(0)) await connection.addIceCandidate(held);
        } else if (described) await connection.addIceCandidate(candidate);
        else early.push(candidate);
      } catch (error) {
        reject(error);
      }
    };
    connection.addEventListener('connectionstatechange', () => {
      if (connection.connectionState === 'failed') reject(new Error('the connection failed'));
    });
  });
  const run = async () => {
    const open = new Promise((resolve) => {
      channel.onopen = resolve;
    });
    await connection.setLocalDescription(await connection.createOffer());
    const { type, sdp } = connection.localDescription;
    signal.send({ description: { type, sdp } });
    await open;
    const echo = (data) =>
      new Promise((resolve) => {
        channel.onmessage = (event) => resolve(event.data);
        channel.send(data);
      });
    for (const text of ['text with ümlauts', '']) {
      if ((await echo(text)) !== text) throw new Error('the text came back changed');
    }
    const binary = Uint8Array.from({ length: 16_384 }, (_, index) => (index * 7) & 0xff);
    const returned = new Uint8Array(await echo(binary));
    if (returned.length !== binary.length || returned.some((byte, index) => byte !== binary[index])) {
      throw new Error('the bytes came back changed');
    }
    const closed = new Promise((resolve) => {
      channel.onclose = resolve;
    });
    channel.close();
    await closed;
    return { connectionState: connection.connectionState };
  };
  return Promise.race([run(), failed]);
}

/** Answers an offer and echoes what comes over its channel. Resolves to the channel's fields when it is closed. */
export function answerDataChannel(connection, signal) {
  return new Promise((resolve, reject) => {
    connection.ondatachannel = ({ channel }) => {
      const { label, protocol, ordered } = channel;
      channel.binaryType = 'arraybuffer';
      channel.onmessage = ({ data }) => channel.send(data);
      channel.onclose = () => resolve({ label, protocol, ordered });
    };
    connection.onicecandidate = ({ candidate }) => {
      if (candidate) signal.send({ candidate: candidate.toJSON() });
    };
    connection.addEventListener('connectionstatechange', () => {
      if (connection.connectionState === 'failed') reject(new Error('the connection failed'));
    });
    const early = [];
    let described = false;
    signal.onmessage = async ({ description, candidate }) => {
      try {
        if (description) {
          await connection.setRemoteDescription(description);
          described = true;
          await connection.setLocalDescription(await connection.createAnswer());
          const { type, sdp } = connection.localDescription;
          signal.send({ description: { type, sdp } });
          for (const held of early.splice(0)) await connection.addIceCandidate(held);
        } else if (described) await connection.addIceCandidate(candidate);
        else early.push(candidate);
      } catch (error) {
        reject(error);
      }
    };
  });
}
