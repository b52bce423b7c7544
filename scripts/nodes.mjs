// npm run test:nodes: npm test on each supported line of Node: the oldest release for the first two, recent ones for
// the others. The binaries come from npm, into .nodes. Majors as arguments choose some lines.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, say } from './tasks.mjs';

export const VERSIONS = { 20: '20.19.0', 22: '22.12.0', 24: '24.21.0', 26: '26.10.0' };

/** The paths of these lines' binaries, installed if need be; undefined, with a word, where npm has none for the machine. */
export function installNodes(majors) {
  const folder = join(root, '.nodes');
  return majors.map((major) => {
    const at = join(folder, major);
    const binary = join(at, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    const stamp = join(at, VERSIONS[major]);
    if (existsSync(stamp)) return binary;
    const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}@${VERSIONS[major]}`;
    say(`installing Node ${VERSIONS[major]}`);
    mkdirSync(at, { recursive: true });
    writeFileSync(join(at, 'package.json'), '{ "private": true }');
    const options = ['--no-audit', '--no-fund', '--no-save', '--loglevel=error'];
    const { status } = spawnSync('npm', ['install', ...options, `node@npm:${name}`], {
      cwd: at,
      stdio: 'inherit',
      shell: process.platform === 'win32',
    });
    if (status !== 0) {
      say(`npm could not install ${name}: nothing runs on Node ${major}`);
      return undefined;
    }
    writeFileSync(stamp, '');
    return binary;
  });
}

/** Runs npm test with each binary, all of them whatever one says. */
function testOn(majors) {
  const binaries = installNodes(majors);
  majors.forEach((major, index) => {
    const binary = binaries[index];
    say(`npm test on Node ${VERSIONS[major]}`);
    const env = { ...process.env, WEBWIRE_NODES: '' };
    const options = { cwd: root, stdio: 'inherit', env };
    if (!binary || spawnSync(binary, [join(root, 'scripts/test.mjs')], options).status !== 0) process.exitCode = 1;
  });
}

if (process.argv[1] === import.meta.filename) {
  const chosen = process.argv.slice(2).filter((word) => word in VERSIONS);
  testOn(chosen.length > 0 ? chosen : Object.keys(VERSIONS));
}
