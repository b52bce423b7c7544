// The option `proxy`: a URL with scheme http, https or socks5, perhaps with user and password.

import type { NativeTlsOptions } from '../tls.js';
import { type Converter, USVString } from '../webidl.js';
import { basicCredentials, percentDecoded } from './credentials.js';

/** As the native core takes it. */
export interface ProxyServer {
  host: string;
  port: number;
  socks: boolean;
  /** For CONNECT. */
  authorization?: string;
  /** For SOCKS5. */
  user?: string;
  password?: string;
  /** For `https:`. */
  tls?: NativeTlsOptions;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  'http:': 80,
  'https:': 443,
  'socks5:': 1080,
  'socks5h:': 1080,
};
const MAX_SOCKS_CREDENTIAL = 255;

/** Throws TypeError for anything else. Names are always resolved by the proxy, which `socks5h` says explicitly. */
export const proxyURL: Converter<ProxyServer> = (value, context) => {
  const text = USVString(value, context);
  // No text of the URL in messages: it may hold a password.
  if (!URL.canParse(text)) throw new TypeError(`${context} is not a URL`);
  const url = new URL(text);
  const port = DEFAULT_PORTS[url.protocol];
  if (port === undefined) throw new TypeError(`${context}: the scheme must be http, https or socks5`);
  if (url.hostname === '') throw new TypeError(`${context} has no host`);
  if (!/^[/]?$/.test(url.pathname) || url.search !== '' || url.hash !== '') {
    throw new TypeError(`${context} has more than scheme, user, password, host and port`);
  }
  const proxy: ProxyServer = {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? port : Number(url.port),
    socks: url.protocol.startsWith('socks5'),
  };
  if (url.protocol === 'https:') proxy.tls = {};
  if (`${url.username}${url.password}` !== '') setCredentials(proxy, url, context);
  return proxy;
};

function setCredentials(proxy: ProxyServer, url: URL, context: string): void {
  if (!proxy.socks) {
    if (percentDecoded(url.username).includes(':')) throw new TypeError(`${context}: the user name has a colon`);
    proxy.authorization = basicCredentials(url) as string;
    return;
  }
  proxy.user = socksCredential(url.username, context);
  proxy.password = socksCredential(url.password, context);
}

function socksCredential(text: string, context: string): string {
  const credential = percentDecoded(text).toString('utf8');
  const length = Buffer.byteLength(credential);
  if (length === 0 || length > MAX_SOCKS_CREDENTIAL) {
    throw new TypeError(`${context}: SOCKS5 takes user and password of 1 to ${MAX_SOCKS_CREDENTIAL} bytes`);
  }
  return credential;
}
