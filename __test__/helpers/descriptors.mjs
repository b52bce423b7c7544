// Descriptors of this process, where there is /proc.

import { readdirSync, readlinkSync } from 'node:fs';

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
