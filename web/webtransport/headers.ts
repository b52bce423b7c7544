// Headers of requests and answers, between the Headers of this realm and the native core's lines.
// https://fetch.spec.whatwg.org/#headers-class

/** `name: value` lines as Headers. */
export function parseHeaders(lines: readonly string[]): Headers {
  const headers = new Headers();
  for (const line of lines) {
    const at = line.indexOf(': ');
    headers.append(line.slice(0, at), line.slice(at + 2));
  }
  return headers;
}

/** Names and values of a HeadersInit, one after the other. Throws TypeError for what cannot be a header. */
export function flattenHeaders(init: unknown): string[] {
  const headers = new Headers(init as Record<string, string> | undefined);
  return [...headers].flat();
}

/** The guard "immutable", which no script can give to Headers: their own methods refuse. */
export function immutable(headers: Headers): Headers {
  for (const name of ['append', 'delete', 'set'] as const) {
    const refuse = { [name]: () => refuseChange() }[name];
    Object.defineProperty(headers, name, { value: refuse, configurable: true, writable: true, enumerable: false });
  }
  return headers;
}

function refuseChange(): never {
  throw new TypeError('these headers are immutable');
}
