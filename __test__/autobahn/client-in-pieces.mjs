// The client, through a proxy that cuts TCP into pieces of 1 to 7 bytes.

import { WebSocket as Direct } from '../../index.mjs';
import { tcpProxy } from '../soak/tcp-proxy.mjs';

let target = 0;
const { port } = await tcpProxy({ target: () => target, seed: 1, small: Number.POSITIVE_INFINITY });

export class WebSocket extends Direct {
  constructor(url) {
    const through = new URL(url);
    target = Number(through.port);
    through.port = String(port);
    // The suite refuses a Host that is not its own.
    super(through, { headers: { Host: new URL(url).host } });
  }
}
