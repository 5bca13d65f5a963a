import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

/** Opens a file for one test. */
export function opened(path: string, flags: string | number = 'r'): number {
  const fd = openSync(path, flags);
  onTestFinished(() => {
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
