// Both ends of a WebSocketStream; the far one is a server's WebSocket. See apis.mjs.

import { websocket } from './websocket.mjs';

const CHUNK = new Uint8Array(16_384);
const ignore = () => {};

export const websocketStream = {
  provoked: 1,

  serve: websocket.serve,

  connect({ WebSocketStream }, { url }, mode) {
    const stream = new WebSocketStream(`${url}/${mode}`);
    const opened = stream.opened.then(({ readable, writable }) => ({
      reader: readable.getReader(),
      writer: writable.getWriter(),
    }));
    return {
      object: stream,
      opened,
      closed: () => stream.closed.then(ignore, ignore),
      async echo(data) {
        const { reader, writer } = await opened;
        await writer.write(data);
        return (await reader.read()).value;
      },
      async pour() {
        const { reader, writer } = await opened;
        const pour = async () => {
          for (;;) await writer.write(CHUNK);
        };
        pour().catch(ignore);
        await reader.read();
        drain(reader);
      },
      async drink() {
        const { reader, writer } = await opened;
        await writer.write('begin');
        await reader.read();
        const drink = async () => {
          for (;;) {
            await writer.write('more');
            await reader.read();
          }
        };
        drink().catch(ignore);
      },
      provoke: () => opened.then(({ writer }) => writer.write('text')).catch(ignore),
      close: () => stream.close({ closeCode: 1000 }),
      forget() {},
    };
  },
};

async function drain(reader) {
  try {
    while (!(await reader.read()).done);
  } catch {
    // The thread ends.
  }
}
