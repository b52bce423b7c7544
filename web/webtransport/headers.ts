// Headers of requests and answers, between the Headers of this realm and the native core's lines.
// https://fetch.spec.whatwg.org/#headers-class

import { ByteString, type Converter, isObject, sequence } from '../webidl.js';

/** A `HeadersInit` as it was given; whether its strings can be names and values is seen when Headers are made of it. */
export type HeadersInit = readonly string[][] | Record<string, string>;

const sequenceOfPairs = sequence(sequence(ByteString));

/** https://fetch.spec.whatwg.org/#typedefdef-headersinit */
export const HeadersInit: Converter<HeadersInit> = (value, context) => {
  if (!isObject(value)) throw new TypeError(`${context} is neither a sequence of pairs nor a record`);
  if ((value as Partial<Iterable<unknown>>)[Symbol.iterator] != null) return sequenceOfPairs(value, context);
  const pairs: string[][] = [];
  for (const key of Reflect.ownKeys(value)) {
    if (!Reflect.getOwnPropertyDescriptor(value, key)?.enumerable) continue;
    const name = ByteString(key, `${context}: a name`);
    pairs.push([name, ByteString((value as Record<string, unknown>)[name], `${context}: ${name}`)]);
  }
  return pairs;
};

/** `name: value` lines as Headers. */
export function parseHeaders(lines: readonly string[]): Headers {
  const headers = new Headers();
  for (const line of lines) {
    const at = line.indexOf(': ');
    headers.append(line.slice(0, at), line.slice(at + 2));
  }
  return headers;
}

/** Names and values, one after the other. Throws TypeError for what cannot be a header. */
export function flattenHeaders(init: HeadersInit | undefined): string[] {
  // Node loads all of fetch for its Headers: not where there is nothing to look at.
  if (init === undefined || Object.keys(init).length === 0) return [];
  const headers = new Headers(init as [string, string][]);
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
