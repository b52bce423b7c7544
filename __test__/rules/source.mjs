// The project's own files, as text.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const root = path.resolve(import.meta.dirname, '../..');

/** What is built, fetched or given, and not written here. */
const FOREIGN = new Set([
  '.git',
  '.venv',
  'corpus',
  'dist',
  'node_modules',
  'target',
  'Cargo.lock',
  'package-lock.json',
]);

/** Resolves to `{ file, text }` of each file below `folder`, whose path ends with `suffix`; `file` is from the root. */
export function sources(folder = '.', suffix = '') {
  const found = [];
  const walk = (relative) => {
    let entries;
    try {
      entries = readdirSync(path.join(root, relative), { withFileTypes: true });
    } catch (error) {
      if (error.code === 'ENOENT') return;
      throw error;
    }
    for (const entry of entries) {
      if (FOREIGN.has(entry.name)) continue;
      const file = path.posix.join(relative, entry.name);
      if (entry.isDirectory()) walk(file);
      else if (entry.isFile() && file.endsWith(suffix) && !file.endsWith('.node')) {
        found.push({ file, text: readFileSync(path.join(root, file), 'utf8') });
      }
    }
  };
  walk(path.posix.normalize(folder));
  return found;
}

/** Rust without its comments and without its tests: items at the margin, on one line or up to the closing brace there. */
export function rustCode(text) {
  const code = text.replace(/^#\[cfg\(test\)\]\n(?:#.*\n)*(?:.*[;}]$|[\s\S]*?^\};?$)/gm, '');
  return code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:"])\/\/.*$/gm, '$1');
}

/** The modules that a Rust file names by `crate::…` or `super::…`, as paths from the crate's root. */
export function rustPaths(file, text) {
  const home = file
    .replace(/^src\//, '')
    .replace(/(\/mod)?\.rs$/, '')
    .split('/');
  const code = rustCode(text);
  const paths = [...code.matchAll(/\bcrate::(\w+(?:::\w+)*)/g)].map(([, found]) => found.split('::'));
  for (const [, found] of code.matchAll(/\buse\s+crate::\{([^}]*)\}/g)) {
    paths.push(...found.split(',').map((one) => one.trim().split('::')));
  }
  for (const [, ups, rest] of code.matchAll(/\b((?:super::)+)(\w+)/g)) {
    paths.push([...home.slice(0, -ups.split('super::').length + 1), rest]);
  }
  return paths;
}

/** The files that a TypeScript file imports from beside it, as paths from the project's root. */
export function typescriptImports(file, text) {
  const specifiers = [...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*|\brequire\(\s*)['"](\.[^'"]+)['"]/g)];
  return specifiers.map(([, to]) => path.posix.join(path.posix.dirname(file), to).replace(/\.(js|ts)$/, ''));
}
