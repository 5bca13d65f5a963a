// Installs nats-server where it is missing and the system is a Debian whose packages this process may install, for the tests of
// packages/jetstream, which are skipped without it. It never fails, takes two minutes at most, and says what it has done.
import { spawnSync } from 'node:child_process';
import process from 'node:process';

/** @param {string} command @param {string[]} args @param {number} seconds */
const succeeds = (command, args, seconds) =>
  spawnSync(command, args, { stdio: 'ignore', timeout: seconds * 1000, killSignal: 'SIGKILL' }).status === 0;

const install = () => {
  if (succeeds('nats-server', ['--version'], 10)) {
    return 'nats-server is there';
  }
  const skipped = 'the tests of packages/jetstream that need it are skipped';
  if (process.getuid?.() !== 0 || !succeeds('apt-get', ['--version'], 10)) {
    return `nats-server is missing, and cannot be installed here (apt-get as root): ${skipped}`;
  }
  const isInstalled =
    succeeds('apt-get', ['update'], 50) &&
    succeeds('apt-get', ['install', '-y', '--no-install-recommends', 'nats-server'], 70);
  return isInstalled ? 'nats-server was installed' : `nats-server is missing, and installing it has failed: ${skipped}`;
};

process.stdout.write(`${install()}\n`);
