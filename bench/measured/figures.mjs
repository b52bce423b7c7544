// What the measured programs share: time, CPU time, and one line of JSON as their result.

/** Wall-clock and CPU time (all threads of this process) from now on. */
export function begin() {
  const wall = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const seconds = (performance.now() - wall) / 1e3;
    const used = process.cpuUsage(cpu);
    return { seconds, cpuSeconds: (used.user + used.system) / 1e6 };
  };
}

/** Seconds of CPU time that this process has used. */
export function cpuSeconds() {
  const used = process.cpuUsage();
  return (used.user + used.system) / 1e6;
}

/** Bytes of resident memory, without what can be collected and what the collector keeps for its own speed. */
export function residentBytes() {
  const all = { type: 'major', execution: 'sync', flavor: 'last-resort' };
  globalThis.gc(all);
  globalThis.gc(all);
  return process.memoryUsage.rss();
}

/** The value below which `part` (0 to 1) of the samples lie. */
export function percentile(samples, part) {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * part)];
}

/** Writes a line of JSON for the program that started this one. */
export function tell(value) {
  return new Promise((resolve) => process.stdout.write(`${JSON.stringify(value)}\n`, resolve));
}

/** Ends this process when the one that started it is gone. */
export function endWithParent() {
  process.stdin.on('end', () => process.exit(0)).resume();
}
