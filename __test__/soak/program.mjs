// What both programs of the soak share: orders on standard input, answers on standard output, a line of JSON each.

import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

/** Answers orders `{ order, … }` with what `orders[order](…)` resolves to. Ends with the standard input. */
export function obey(orders) {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const { order, ...rest } = JSON.parse(line);
    try {
      tell({ answer: (await orders[order](rest)) ?? null });
    } catch (error) {
      tell({ error: error.stack });
    }
  });
  lines.on('close', () => process.exit(0));
}

export function tell(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** What this process holds, after garbage collection. */
export async function holdings() {
  for (let round = 0; round < 5; round += 1) {
    globalThis.gc();
    await delay(50);
  }
  const cpu = process.cpuUsage();
  return {
    residentKiB: Math.round(process.memoryUsage.rss() / 1024),
    descriptors: readdirSync('/proc/self/fd').length,
    cpuMs: Math.round((cpu.user + cpu.system) / 1000),
  };
}
