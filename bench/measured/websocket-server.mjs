// The measured end of the WebSocket server cases: an echo server of one implementation, loaded by the Rust program.
// node websocket-server.mjs ADAPTER PEER '{"connections":…,"depth":…,"size":…,"count":…}'
import { spawn } from 'node:child_process';
import { begin, endWithParent, tell } from './figures.mjs';

const [adapterName, peer, parameters] = process.argv.slice(2);
const { default: adapter } = await import(`../adapters/websocket-server-${adapterName}.mjs`);
const { connections, depth, size, count } = JSON.parse(parameters);
const WARM_UP = 8;

/** All connections send `each` messages, `depth` of them under way at once, and wait for their echoes. */
function load(port, each) {
  const child = spawn(peer, ['websocket-load', ...[port, connections, depth, size, each].map(String)], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`the load ended with ${code}`))));
  });
}

endWithParent();
const port = await adapter.echo();
await load(port, Math.ceil(count / connections / WARM_UP));
const each = Math.ceil(count / connections);
const end = begin();
await load(port, each);
const { seconds, cpuSeconds } = end();
const echoed = each * connections;
await tell({ rate: echoed / seconds, megabytes: (echoed * size) / 1e6 / seconds, cpu: (cpuSeconds / echoed) * 1e6 });
process.exit(0);
