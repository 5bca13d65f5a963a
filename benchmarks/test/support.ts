import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { fileSystem } from '../src/subjects/file-system.js';
import { peerSubjects } from '../src/subjects/peers.js';
import type { Subject } from '../src/subjects/subject.js';
import { walstackSubjects } from '../src/subjects/walstack.js';

/** All subjects that are measured here: databases only where `pnpm bench` was run, which is what installs them. */
export const subjects: readonly Subject[] = [
  ...(await walstackSubjects()).subjects,
  fileSystem,
  ...peerSubjects().subjects,
];

/** A folder for each test. */
export function temporaryFolder(): () => string {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'walstack-benchmarks-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  return () => folder;
}
