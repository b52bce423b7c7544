// npm run interop: webwire against Chromium, aioquic and aiortc. On Debian as root it installs what is missing: apt
// packages, and a Python venv in .venv with the versions of __test__/interop/peers/requirements.txt. Elsewhere it names
// what is missing and fails. It never passes by skipping.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const requirements = path.join(root, '__test__/interop/peers/requirements.txt');
const venv = path.join(root, '.venv');
const python = process.env.WEBWIRE_PYTHON ?? path.join(venv, 'bin/python');

const asRoot = process.getuid?.() === 0;

/** Runs a command with its output shown; ends this program when it fails. */
function run(command, args, options = {}) {
  console.log(`> ${[command, ...args].join(' ')}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (status !== 0) {
    console.error(`interop: ${command} failed${error ? `: ${error.message}` : ` with status ${status}`}`);
    process.exit(status || 1);
  }
}

function onPath(program) {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The system's Python, and not one of a version manager: the venv's module is a Debian package beside it. */
function systemPython() {
  return ['/usr/bin/python3'].find(existsSync) ?? 'python3';
}

function venvModule() {
  return spawnSync(systemPython(), ['-c', 'import venv, ensurepip']).status === 0;
}

/** The programs that the tests need: how to see that one is there, and the Debian package that has it. */
const programs = [
  { name: 'Chromium', there: () => existsSync(process.env.WEBWIRE_CHROMIUM ?? '/usr/bin/chromium'), apt: 'chromium' },
  { name: 'Python 3 with venv', there: () => existsSync(python) || venvModule(), apt: 'python3-venv' },
  { name: 'ip (iproute2)', there: () => onPath('ip'), apt: 'iproute2' },
  { name: 'unshare (util-linux)', there: () => onPath('unshare'), apt: 'util-linux' },
];

function installPrograms() {
  const missing = programs.filter(({ there }) => !there());
  if (missing.length === 0) return;
  if (!(asRoot && existsSync('/etc/debian_version'))) {
    console.error(`interop: missing: ${missing.map(({ name }) => name).join(', ')}`);
    console.error(`interop: on Debian, run this as root to install them, or: apt-get install ${aptNames(missing)}`);
    process.exit(1);
  }
  const environment = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  run('apt-get', ['update', '-q'], environment);
  run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...missing.map(({ apt }) => apt)], environment);
}

function aptNames(list) {
  return list.map(({ apt }) => apt).join(' ');
}

function installPythonPackages() {
  if (process.env.WEBWIRE_PYTHON) return;
  const wanted = readFileSync(requirements, 'utf8');
  const stamp = path.join(venv, 'installed.txt');
  if (existsSync(python) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  rmSync(venv, { recursive: true, force: true });
  mkdirSync(venv);
  run(systemPython(), ['-m', 'venv', venv]);
  run(python, ['-m', 'pip', 'install', '--progress-bar=off', '-r', requirements]);
  writeFileSync(stamp, wanted);
}

if (process.platform !== 'linux' || !asRoot) {
  console.error('interop: needs Linux and root, for a network namespace with an address besides loopback');
  process.exit(1);
}
installPrograms();
run(process.execPath, [path.join(root, 'scripts/setup.mjs')]);
installPythonPackages();
run(path.join(root, 'scripts/isolated'), [
  process.execPath,
  '--test',
  '--test-timeout=120000',
  ...(process.env.WEBWIRE_TEST_REPORTER ?? '').split(' ').filter(Boolean),
  ...process.argv.slice(2),
  '__test__/interop/',
]);
