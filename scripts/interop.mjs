// npm run interop: webwire against Chromium, Firefox, aioquic, h3, aiortc, websockets and npm packages. On Debian as root it installs what is
// missing: apt packages, and a Python venv in .venv with the versions of __test__/interop/peers/requirements.txt.
// Elsewhere it names what is missing and fails. It never passes by skipping.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setUp } from './setup.mjs';
import { runSuite, testFiles } from './suite.mjs';
import { root, run, say } from './tasks.mjs';

const requirements = join(root, '__test__/interop/peers/requirements.txt');
const venv = join(root, '.venv');
const python = process.env.WEBWIRE_PYTHON ?? join(venv, 'bin/python');
const chromium = process.env.WEBWIRE_CHROMIUM ?? '/usr/bin/chromium';
const firefox = process.env.WEBWIRE_FIREFOX ?? '/usr/bin/firefox-esr';

/** Debian's own Python, where there is one: its venv module is a package of Debian too. */
const systemPython = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

function onPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function venvModule() {
  return spawnSync(systemPython, ['-c', 'import venv, ensurepip']).status === 0;
}

/** What the tests need: how to see that it is there, and the Debian package that has it. */
const PROGRAMS = [
  { name: 'Chromium', there: () => existsSync(chromium), apt: 'chromium' },
  { name: 'Firefox ESR', there: () => existsSync(firefox), apt: 'firefox-esr' },
  { name: 'Python 3 with venv', there: () => existsSync(python) || venvModule(), apt: 'python3-venv' },
  { name: 'ip (iproute2)', there: () => onPath('ip'), apt: 'iproute2' },
  { name: 'unshare (util-linux)', there: () => onPath('unshare'), apt: 'util-linux' },
];

function installPrograms() {
  const asRoot = process.getuid?.() === 0;
  if (process.platform !== 'linux' || !asRoot) {
    say('interop needs Linux and root, for a network namespace with an address besides loopback');
    process.exit(1);
  }
  const missing = PROGRAMS.filter(({ there }) => !there());
  if (missing.length === 0) return;
  const packages = missing.map(({ apt }) => apt);
  if (!existsSync('/etc/debian_version')) {
    say(`interop: missing: ${missing.map(({ name }) => name).join(', ')} (on Debian: ${packages.join(' ')})`);
    process.exit(1);
  }
  say(`installing ${packages.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-q'], { env });
  run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], { env });
}

function installPythonPackages() {
  if (process.env.WEBWIRE_PYTHON) return;
  const wanted = readFileSync(requirements, 'utf8');
  const stamp = join(venv, 'installed.txt');
  if (existsSync(python) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('installing aioquic, aiortc and websockets');
  rmSync(venv, { recursive: true, force: true });
  mkdirSync(venv);
  run(systemPython, ['-m', 'venv', venv]);
  run(python, ['-m', 'pip', 'install', '--progress-bar=off', '-r', requirements]);
  writeFileSync(stamp, wanted);
}

installPrograms();
setUp();
installPythonPackages();
// Its crates may have to be downloaded, which the tests' own network can't.
run('cargo', ['build', '--locked', '--example', 'http3-client']);
runSuite('npm run interop', testFiles('__test__/interop'), { through: [join(root, 'scripts/isolated')] });
