// The limits of CONTRIBUTING.md that no linter holds: length of files, a reason beside each lint exception.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rustCode, sources } from './source.mjs';

const LIMIT = 500;

const texts = sources().filter(({ text }) => !text.includes('\0'));
const rust = texts.filter(({ file }) => file.endsWith('.rs'));
const scripts = texts.filter(({ file }) => /\.[mc]?[jt]s$/.test(file));

test(`no file has more than ${LIMIT} lines`, () => {
  const long = texts.map(({ file, text }) => [file, text.trimEnd().split('\n').length]);
  assert.deepEqual(
    long.filter(([, lines]) => lines > LIMIT),
    [],
  );
});

test('a lint exception in Rust has a reason beside it', () => {
  const found = [];
  for (const { file, text } of rust) {
    const lines = text.split('\n');
    lines.forEach((line, index) => {
      if (!/^\s*#!?\[(cfg_attr\(.*)?(allow|expect)\(/.test(line)) return;
      const attribute = lines
        .slice(index, lines.findIndex((end, at) => at >= index && end.includes(']')) + 1)
        .join(' ');
      const commented = /\/\/ ./.test(line) || /^\s*\/\/ ./.test(lines[index - 1] ?? '');
      if (!/reason\s*=\s*"[^"]+"/.test(attribute) && !commented) found.push(`${file}:${index + 1} ${line.trim()}`);
    });
  }
  assert.deepEqual(found, []);
});

test('a lint exception in JavaScript and TypeScript has a reason beside it', () => {
  const marks = [
    /biome-ignore(-all|-start)?\b(?! \S+: \S)/,
    /@ts-(expect-error|ignore|nocheck)(?!:? \S)/,
    /eslint-disable/,
  ];
  const found = [];
  for (const { file, text } of scripts) {
    if (file.startsWith('__test__/rules/')) continue; // names the marks
    text.split('\n').forEach((line, index) => {
      if (marks.some((mark) => mark.test(line))) found.push(`${file}:${index + 1} ${line.trim()}`);
    });
  }
  assert.deepEqual(found, []);
});

/** The one file that may say `unsafe`, and says why that is sound. */
const UNSAFE = 'src/descriptor.rs';

test('no unwrap() and no unsafe in src/, tests and one file apart', () => {
  const found = rust.filter(
    ({ file, text }) =>
      file.startsWith('src/') && file !== UNSAFE && /\.unwrap\(\)|\bunsafe\s*(\{|fn|impl)/.test(rustCode(text)),
  );
  const { text } = rust.find(({ file }) => file === UNSAFE);
  assert.equal(text.match(/\bunsafe\s*\{/g).length, text.match(/\/\/ SAFETY: /g).length);
  assert.deepEqual(
    found.map(({ file }) => file),
    [],
  );
});
