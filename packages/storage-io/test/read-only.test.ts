import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { PortableWalWriter, readFrames } from '@walstack/storage-io';
import { describe, expect, it, onTestFinished } from 'vitest';
import { removableDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { backends } from './backends.js';
import { failure } from './portable-support.js';

const run = (command: string, ...given: string[]): void => void execFileSync(command, given, { stdio: 'ignore' });

/** A directory with a file of frames in which nothing can be written; `undefined` where there is no way to have one. */
async function unwritable(): Promise<string | undefined> {
  const { directory, destroy } = removableDirectory();
  onTestFinished(destroy);
  const source = join(directory, 'source');
  mkdirSync(source);
  const writer = await PortableWalWriter.open(join(source, 'file'), { framed: true, io: 'sync-fs' });
  await writer.appendWithChecksum('frame');
  await writer.close();
  if (process.getuid?.() !== 0) {
    chmodSync(join(source, 'file'), 0o444);
    return process.platform === 'win32' ? undefined : source;
  }
  // Root may write to whatever is not mounted to be read only.
  const mount = join(directory, 'mount');
  mkdirSync(mount);
  try {
    run('mount', '--bind', source, mount);
    onTestFinished(() => run('umount', '--lazy', mount));
    run('mount', '-o', 'remount,bind,ro', mount);
    return mount;
  } catch {
    return undefined;
  }
}

const onRealFiles = Object.entries(backends).filter(([name]) => name !== 'memory');

describe.each(onRealFiles)('a file that cannot be written, on %s', (_, make) => {
  it('is read, and not opened for more', async ({ skip }) => {
    const directory = await unwritable();
    if (directory === undefined) return skip('files that cannot be written are not to be had here');
    const { io, destroy } = make();
    onTestFinished(async () => {
      await io.dispose();
      destroy?.();
    });
    const path = join(directory, 'file');
    const found: string[] = [];
    for await (const { data } of readFrames(path, { io })) found.push(Buffer.from(data).toString());
    expect(found).toEqual(['frame']);
    expect(() => io.open(path)).toThrow(failure('WAL_IO_FAILED'));
    await expect(PortableWalWriter.open(path, { io, framed: true })).rejects.toThrow(failure('WAL_IO_FAILED'));
  });
});

describe.each(onRealFiles)('a pipe with a name, on %s', (_, make) => {
  it.runIf(process.platform === 'linux')('is not opened to be read, also where it has a writer', async () => {
    const { directory, destroy } = removableDirectory();
    const path = join(directory, 'pipe');
    run('mkfifo', path);
    // Open for both, so that opening it does not wait.
    const fd = openSync(path, 'r+');
    const { io, destroy: end } = make();
    onTestFinished(async () => {
      await io.dispose();
      end?.();
      closeSync(fd);
      destroy();
    });
    expect(() => io.open(path, { readOnly: true })).toThrow(
      expect.objectContaining({ code: 'WAL_IO_FAILED', systemCode: 'ESPIPE' }),
    );
  });
});
