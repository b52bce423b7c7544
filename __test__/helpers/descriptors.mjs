// Descriptors of this process, where there is /proc.

import { existsSync, readdirSync, readlinkSync } from 'node:fs';

/** What the descriptors of this process lead to, but for the three that every process inherits. */
export function descriptors() {
  const found = [];
  for (const name of readdirSync('/proc/self/fd')) {
    if (Number(name) < 3) continue;
    try {
      found.push(readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The one of the listing itself.
    }
  }
  return found;
}

/** How many sockets this process has, where that is to be seen. */
export function sockets() {
  if (!existsSync('/proc/self/fd')) return 0;
  return descriptors().filter((name) => name.startsWith('socket:')).length;
}
