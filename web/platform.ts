// What this platform is called among the builds of the native core.

/** `linux-x64-gnu`, `darwin-arm64`, … */
export function platform(): string {
  const { platform: os, arch } = process;
  if (os === 'linux') return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`;
  if (os === 'win32') return `win32-${arch}-msvc`;
  return `${os}-${arch}`;
}

function isMusl(): boolean {
  const report = process.report?.getReport() as unknown as { header?: { glibcVersionRuntime?: string } } | undefined;
  return report?.header?.glibcVersionRuntime === undefined;
}
