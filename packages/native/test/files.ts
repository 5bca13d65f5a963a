import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';

const cleanUps: (() => void)[] = [];

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

/** A directory for one test. */
export function temporaryDirectory(parent = tmpdir()): string {
  const directory = mkdtempSync(join(parent, 'walstack-native-'));
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Opens a file for one test. */
export function opened(path: string, flags: string | number = 'r'): number {
  const fd = openSync(path, flags);
  cleanUps.push(() => {
    try {
      closeSync(fd);
    } catch {
      // The test has closed it.
    }
  });
  return fd;
}

/** A new file with this content, in a directory for one test. */
export function fileWith(content: Uint8Array | string, parent?: string): string {
  const path = join(temporaryDirectory(parent), 'file');
  writeFileSync(path, content);
  return path;
}

/** What a call throws. */
export function thrownBy(call: () => unknown): Error & { code?: string; errno?: number; syscall?: string } {
  try {
    call();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('nothing was thrown');
}
