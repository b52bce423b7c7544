// WebSocketServers behind one server of Node's: each serves its path, and what none of them serves the first one answers.

import type { Server } from 'node:http';

/** Whether one of them serves a request's target. */
export type Serves = (target: string) => boolean;

const siblings = new WeakMap<Server, Set<Serves>>();

export function join(server: Server, serves: Serves): void {
  const known = siblings.get(server);
  if (known === undefined) siblings.set(server, new Set([serves]));
  else known.add(serves);
}

export function leave(server: Server, serves: Serves): void {
  siblings.get(server)?.delete(serves);
}

/** Whether another listener answers an upgrade that `serves` does not serve. */
export function isForAnother(server: Server, serves: Serves, target: string): boolean {
  const known = siblings.get(server) ?? new Set();
  // One that is not of this package may serve any path.
  if (server.listenerCount('upgrade') > known.size) return true;
  const [first] = known;
  return first !== serves || [...known].some((one) => one(target));
}
