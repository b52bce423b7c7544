// The three APIs, WebSocket as streams too, in one shape, for tests that hold for each of them. An adapter has
//
//   serve(webwire)                        resolves to `{ object, at, answer(signal), close() }`: the far end
//   connect(webwire, at, mode, signal)    a connection to it: `{ object, opened, closed(), echo(text), pour(), drink(),
//                                        provoke(), close(), forget() }`; forget() takes away what would keep it from being collected
//
// `provoke()` makes an event come to the object that is numbered `provoked` in a thread whose first connection this is.
// `at` can be cloned into another thread or process. `mode` is what the far end does: `echo`, `sink`, `flood`. `signal` is an
// end of signalling (see signal.mjs), whose other end the far end got by `answer`.

import { signalPair } from './signal.mjs';
import { webrtc } from './webrtc.mjs';
import { websocket } from './websocket.mjs';
import { websocketStream } from './websocket-stream.mjs';
import { webtransport } from './webtransport.mjs';

export const apis = { websocket, websocketStream, webtransport, webrtc };

/** Both ends in this thread, the near one open. `close()` ends both. */
export async function openPair(api, webwire, mode = 'echo') {
  const server = await api.serve(webwire);
  const [near, far] = signalPair();
  server.answer(far);
  const connection = api.connect(webwire, server.at, mode, near);
  await connection.opened;
  return {
    connection,
    async close() {
      connection.close();
      await server.close();
    },
  };
}
