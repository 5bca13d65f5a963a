import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A new directory on real files, and what removes it. */
export function removableDirectory(parent = tmpdir()): { readonly directory: string; destroy(): void } {
  const directory = mkdtempSync(join(parent, 'walstack-test-'));
  return { directory, destroy: () => rmSync(directory, { recursive: true, force: true }) };
}

/** A new directory on real files, removed after the test that is running. */
export function temporaryDirectory(parent?: string): string {
  const { directory, destroy } = removableDirectory(parent);
  onTestFinished(destroy);
  return directory;
}
