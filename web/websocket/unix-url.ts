// URLs of sockets of the file system, `ws+unix:/path/to.sock:/request/target`, as the `ws` package has them. No standard does.

import { DOMException } from '../errors.js';
import { percentDecoded } from './credentials.js';

/** What such a URL says: the socket's path, and the request's target. */
export function unixSocket(record: URL): { path: string; target: string } {
  if (record.host !== '') throw new DOMException('A ws+unix: URL has no host, only a path', 'SyntaxError');
  const [first = '', ...rest] = record.pathname.split(':');
  const path = percentDecoded(first).toString('utf8');
  if (path === '') throw new DOMException(`'${record.href}' names no socket`, 'SyntaxError');
  const request = rest.join(':') || '/';
  if (!request.startsWith('/')) throw new DOMException(`The request's target '${request}' has no slash`, 'SyntaxError');
  // What may stand in a request line: the rest of this URL may be opaque, and then it is not encoded.
  const { pathname, search } = new URL(`ws://localhost${request}${record.search}`);
  return { path, target: pathname + search };
}
