import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { available, directIoAlignment } from '@walstack/native';
import { createSyncFsStorageIo, createThreadPoolStorageIo } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removableDirectory, temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const O_DIRECT = 0o40000;

/** Whether the operating system has direct I/O turned on for an open file of this process. */
function isDirect(path: string): boolean {
  const fd = readdirSync('/proc/self/fd').find((each) => {
    try {
      return readlinkSync(`/proc/self/fd/${each}`) === path;
    } catch {
      return false;
    }
  });
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0';
  return (Number.parseInt(flags, 8) & O_DIRECT) !== 0;
}

describe.runIf(process.platform === 'linux').each([
  ['sync-fs', createSyncFsStorageIo],
  ['thread-pool', createThreadPoolStorageIo],
])('direct I/O of %s', (_name, create) => {
  let temporary: ReturnType<typeof removableDirectory>;
  beforeEach(() => {
    temporary = removableDirectory();
  });
  afterEach(() => temporary.destroy());

  it('is what the file system has, with the addon, and never had without', async () => {
    const io = create();
    const path = `${temporary.directory}/file`;
    const file = io.open(path, { create: true, direct: true });
    const wanted = available ? directIoAlignment(path) : undefined;
    expect(file.direct).toBe(wanted !== undefined);
    expect(isDirect(path)).toBe(file.direct);
    expect(file.alignment).toBe(wanted === undefined ? 1 : Math.max(wanted.memory, wanted.offset));
    expect(io.stats().directRefused).toBe(file.direct ? 0 : 1);
    await io.dispose();
  });

  it('is only for files that ask for it', async () => {
    const io = create();
    const path = `${temporary.directory}/file`;
    expect(io.open(path, { create: true }).direct).toBe(false);
    expect(isDirect(path)).toBe(false);
    await io.dispose();
  });

  it.runIf(existsSync('/dev/shm'))('is refused in memory, and the file is good for buffered I/O', async () => {
    const io = create();
    const directory = temporaryDirectory('/dev/shm');
    try {
      const file = io.open(`${directory}/file`, { create: true, direct: true });
      expect(file).toMatchObject({ direct: false, alignment: 1 });
      expect(isDirect(`${directory}/file`)).toBe(false);
      expect(io.stats().directRefused).toBe(1);
    } finally {
      await io.dispose();
    }
  });
});
