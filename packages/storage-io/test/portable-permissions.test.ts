import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { PortableWalWriter } from '@walstack/storage-io';
import { afterEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const umask = process.umask();

afterEach(() => void process.umask(umask));

describe.runIf(process.platform !== 'win32')('the file of a PortableWalWriter', () => {
  it.each([
    ['is for its owner only by default', {}, 0o600, 0o022],
    ['has fileMode', { fileMode: 0o644 }, 0o644, 0o022],
    ['has fileMode whatever the umask takes away', { fileMode: 0o666 }, 0o666, 0o077],
    ['has fileMode in a file of frames, whatever the umask leaves', { framed: true, fileMode: 0o640 }, 0o640, 0],
  ])('%s', async (_what, options, mode, mask) => {
    process.umask(mask);
    const path = join(temporaryDirectory(), 'file');
    await (await PortableWalWriter.open(path, { io: 'sync-fs', ...options })).close();
    expect(modeOf(path)).toBe(mode);
    const other = `${path}-2`;
    PortableWalWriter.openSync(other, { io: 'sync-fs', ...options }).closeSync();
    expect(modeOf(other)).toBe(mode);
  });

  it('keeps the permissions that it has', async () => {
    const path = join(temporaryDirectory(), 'file');
    writeFileSync(path, '');
    chmodSync(path, 0o644);
    await (await PortableWalWriter.open(path, { io: 'sync-fs', fileMode: 0o600 })).close();
    expect(modeOf(path)).toBe(0o644);
  });

  it.each([0o400, 0o1600, -1, 0.5])('is not made with %d', async (fileMode) => {
    const path = join(temporaryDirectory(), 'file');
    await expect(PortableWalWriter.open(path, { io: 'sync-fs', fileMode })).rejects.toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
    });
  });
});
