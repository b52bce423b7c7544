// The WebSocket of `ws` through its own events: a Buffer a message, which is made a string where the message is text.
import { WebSocket } from 'ws';

export default {
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
