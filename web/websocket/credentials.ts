// User and password in URLs.

/** The bytes of a part of a URL. What looks like an escape and is none stands for itself. */
export function percentDecoded(text: string): Buffer {
  const escapes = /%([0-9a-f]{2})/gi;
  return Buffer.from(
    text.replace(escapes, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}

/** The credentials of a URL for HTTP's Basic authentication (RFC 7617), if it has any. */
export function basicCredentials({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  const bytes = Buffer.concat([percentDecoded(username), Buffer.from(':'), percentDecoded(password)]);
  return `Basic ${bytes.toString('base64')}`;
}
