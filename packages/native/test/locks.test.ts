import { closeSync } from 'node:fs';
import { available, fileLocksUnavailableReason, holdLock, type LockMode, lockFile, unlockFile } from '@walstack/native';
import { describe, expect, it } from 'vitest';
import { fileWith, opened, thrownBy } from './files.js';
import { RunningProgram, runInWorker, runProgram } from './programs.js';

const LOCK_AND_WAIT = `
const [path, mode] = process.argv.slice(1);
console.log(native.lockFile(fs.openSync(path, 'r+'), mode));
process.stdin.resume();`;

describe.runIf(available && process.platform === 'linux')('locks on open files', () => {
  it('are there', () => expect(fileLocksUnavailableReason).toBe(undefined));

  it('are shared with other shared ones, and exclusive with none', () => {
    const path = fileWith('');
    const [one, two, three] = [opened(path, 'r+'), opened(path, 'r+'), opened(path, 'r')];
    expect(lockFile(one, 'shared')).toBe(true);
    expect(lockFile(three, 'shared')).toBe(true);
    expect(lockFile(two, 'exclusive')).toBe(false);
    unlockFile(three);
    expect(lockFile(two, 'exclusive')).toBe(false);
    closeSync(one);
    expect(lockFile(two, 'exclusive')).toBe(true);
    expect(lockFile(two, 'exclusive')).toBe(true);
    expect(lockFile(three, 'shared')).toBe(false);
    unlockFile(two);
    unlockFile(two);
    expect(lockFile(three, 'shared')).toBe(true);
  });

  it('replace the one that the file has, which stays when that cannot be', () => {
    const path = fileWith('');
    const [one, two, three] = [opened(path, 'r+'), opened(path, 'r+'), opened(path, 'r+')];
    expect(lockFile(one, 'shared')).toBe(true);
    expect(lockFile(two, 'shared')).toBe(true);
    expect(lockFile(two, 'exclusive')).toBe(false);
    unlockFile(one);
    expect(lockFile(three, 'exclusive')).toBe(false);
    expect(lockFile(two, 'exclusive')).toBe(true);
    expect(lockFile(one, 'shared')).toBe(false);
    expect(lockFile(two, 'shared')).toBe(true);
    expect(lockFile(one, 'shared')).toBe(true);
  });

  it('of one file leave another alone, and stay when the file is opened and closed elsewhere', () => {
    const [path, other] = [fileWith(''), fileWith('')];
    const fd = opened(path, 'r+');
    expect(lockFile(fd, 'exclusive')).toBe(true);
    expect(lockFile(opened(other, 'r+'), 'exclusive')).toBe(true);
    // Locks of the older kind would go with any file that is closed.
    closeSync(opened(path));
    expect(lockFile(opened(path), 'shared')).toBe(false);
  });

  it('exclude worker threads, and go when these end', async () => {
    const path = fileWith('');
    const fd = opened(path, 'r+');
    expect(lockFile(fd, 'exclusive')).toBe(true);
    const tryIt = `parentPort.postMessage(native.lockFile(fs.openSync(workerData, 'r+'), 'exclusive'));`;
    expect(await runInWorker(tryIt, path)).toBe(false);
    unlockFile(fd);
    expect(await runInWorker(tryIt, path)).toBe(true);
    expect(lockFile(fd, 'exclusive')).toBe(true);
  });

  it('exclude other processes, and are gone when these are killed', async () => {
    const path = fileWith('');
    const fd = opened(path, 'r+');
    for (const mode of ['shared', 'exclusive'] as LockMode[]) {
      const holder = new RunningProgram(LOCK_AND_WAIT, [path, mode]);
      expect(await holder.line()).toBe('true');
      expect(lockFile(fd, 'exclusive')).toBe(false);
      expect(lockFile(fd, 'shared')).toBe(mode === 'shared');
      unlockFile(fd);
      await holder.kill();
      expect(lockFile(fd, 'exclusive')).toBe(true);
      const refused = new RunningProgram(LOCK_AND_WAIT, [path, mode]);
      expect(await refused.line()).toBe('false');
      await refused.kill();
      unlockFile(fd);
    }
  });

  it('are not handed down to child processes', async () => {
    const { stdout } = await runProgram(
      `import { spawn } from 'node:child_process';
      const path = process.argv[1];
      const fd = fs.openSync(path, 'r+');
      native.lockFile(fd, 'exclusive');
      const child = spawn('sleep', ['60'], { stdio: 'ignore' });
      await new Promise((resolve) => child.once('spawn', resolve));
      fs.closeSync(fd);
      console.log(native.lockFile(fs.openSync(path, 'r+'), 'exclusive'));
      child.kill();`,
      { args: [fileWith('')] },
    );
    expect(stdout.trim()).toBe('true');
  });

  it('that are held stay when the file is closed, until they are released', () => {
    const path = fileWith('');
    const [fd, other] = [opened(path, 'r+'), opened(path, 'r+')];
    const release = holdLock(fd, 'exclusive');
    expect(holdLock(other, 'exclusive')).toBe(undefined);
    expect(holdLock(other, 'shared')).toBe(undefined);
    closeSync(fd);
    expect(lockFile(other, 'exclusive')).toBe(false);
    release?.();
    release?.();
    expect(lockFile(other, 'exclusive')).toBe(true);
    unlockFile(other);
    const shared = [opened(path), opened(path)].map((each) => holdLock(each, 'shared'));
    expect(lockFile(other, 'exclusive')).toBe(false);
    for (const each of shared) each?.();
    expect(lockFile(other, 'exclusive')).toBe(true);
    const closed = opened(path);
    closeSync(closed);
    expect(thrownBy(() => holdLock(closed, 'shared'))).toMatchObject({ code: 'EBADF', syscall: 'fcntl' });
    expect(thrownBy(() => holdLock(other, 'Shared' as LockMode)).code).toBe('ERR_OUT_OF_RANGE');
  });

  it('that are held go with a worker thread that leaves its files open', async () => {
    const path = fileWith('');
    const hold = `native.holdLock(fs.openSync(workerData, 'r+'), 'exclusive'); parentPort.postMessage('held');`;
    for (let round = 0; round < 3; round++)
      expect(await runInWorker(hold, path, { trackUnmanagedFds: false })).toBe('held');
    expect(lockFile(opened(path, 'r+'), 'exclusive')).toBe(true);
  });

  it('need a file that is open in the right mode', () => {
    const path = fileWith('');
    expect(thrownBy(() => lockFile(opened(path, 'r'), 'exclusive'))).toMatchObject({ code: 'EBADF', syscall: 'fcntl' });
    expect(thrownBy(() => lockFile(opened(path, 'a'), 'shared'))).toMatchObject({ code: 'EBADF', syscall: 'fcntl' });
    const closed = opened(path);
    closeSync(closed);
    expect(thrownBy(() => lockFile(closed, 'shared'))).toMatchObject({ code: 'EBADF', errno: expect.any(Number) });
    expect(thrownBy(() => unlockFile(closed)).code).toBe('EBADF');
  });

  it('refuse wrong arguments', () => {
    const fd = opened(fileWith(''), 'r+');
    for (const [wrong, code] of [
      [undefined, 'ERR_INVALID_ARG_TYPE'],
      ['1', 'ERR_INVALID_ARG_TYPE'],
      [1n, 'ERR_INVALID_ARG_TYPE'],
      [-1, 'ERR_OUT_OF_RANGE'],
      [1.5, 'ERR_OUT_OF_RANGE'],
      [Number.NaN, 'ERR_OUT_OF_RANGE'],
      [2 ** 31, 'ERR_OUT_OF_RANGE'],
    ] as const) {
      expect(thrownBy(() => lockFile(wrong as number, 'shared')).code).toBe(code);
      expect(thrownBy(() => unlockFile(wrong as number)).code).toBe(code);
    }
    expect(thrownBy(() => lockFile(fd, true as unknown as LockMode)).code).toBe('ERR_INVALID_ARG_TYPE');
    expect(thrownBy(() => lockFile(fd, 'Shared' as LockMode)).code).toBe('ERR_OUT_OF_RANGE');
  });
});

describe('locks on open files without the binary', () => {
  it('report why they are not available', async () => {
    const { stdout } = await runProgram(
      `try { native.lockFile(0, 'shared'); }
      catch ({ code, message }) { console.log(code, message === native.fileLocksUnavailableReason, message); }`,
      { env: { WALSTACK_NATIVE: '0' } },
    );
    expect(stdout).toMatch(/^ERR_WALSTACK_NATIVE_UNAVAILABLE true .*WALSTACK_NATIVE=0/);
  });
});
