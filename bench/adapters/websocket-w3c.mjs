// A WebSocket class of the standard's shape, as the measured program uses it: https://websockets.spec.whatwg.org/

/**
 * @returns an adapter: `connect(url, message)` resolves to `{ send, bufferedAmount, close }` when the socket is open.
 * `argumentsOf` makes the constructor's arguments behind the URL of a case's options.
 */
export function w3c(WebSocket, argumentsOf = () => []) {
  return {
    connect(url, message, options) {
      return new Promise((resolve, reject) => {
        const socket = new WebSocket(url, ...argumentsOf(options));
        socket.binaryType = 'arraybuffer';
        socket.onmessage = (event) => message(event.data);
        socket.onerror = () => reject(new Error(`${url}: the connection failed`));
        socket.onopen = () =>
          resolve({
            send: (data) => socket.send(data),
            bufferedAmount: () => socket.bufferedAmount,
            close: () =>
              new Promise((closed) => {
                socket.onclose = closed;
                socket.close();
              }),
          });
      });
    },
  };
}
