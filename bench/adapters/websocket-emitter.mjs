// A WebSocket of `ws`'s interface through its own events: a Buffer a message, which is made a string where it is text.

/** @returns an adapter: `connect(url, message)` resolves to `{ send, bufferedAmount, close }` when the socket is open. */
export function emitter(WebSocket) {
  return {
    connect(url, message) {
      return new Promise((resolve, reject) => {
        const socket = new WebSocket(url);
        socket.on('message', (data, isBinary) => message(isBinary ? data : data.toString()));
        socket.on('error', reject);
        socket.on('open', () =>
          resolve({
            send: (data) => socket.send(data),
            bufferedAmount: () => socket.bufferedAmount,
            close: () =>
              new Promise((closed) => {
                socket.on('close', closed);
                socket.close();
              }),
          }),
        );
      });
    },
  };
}
