// A fresh certificate as files, for programs that take only those.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createCertificate } from '../helpers/certificate.mjs';

/** Paths of the certificate and the key, and the certificate's SHA-256; removed with the test `context`. */
export function certificateFiles(context) {
  const folder = mkdtempSync(path.join(tmpdir(), 'webwire-certificate-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const { cert, key, hash } = createCertificate();
  const files = { cert: path.join(folder, 'cert.pem'), key: path.join(folder, 'key.pem') };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key, { mode: 0o600 });
  return { ...files, hash };
}
