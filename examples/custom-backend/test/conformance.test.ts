import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createIoUringStorageIo,
  createMemoryStorageIo,
  createThreadPoolStorageIo,
  ringSupport,
  type StorageIo,
} from '@walstack/storage-io';
import {
  type ConformanceBackend,
  type ConformanceCreateOptions,
  storageIoConformance,
} from '@walstack/storage-io/conformance';
import { describe, expect, it } from 'vitest';
import { type Disk, mirror } from '../src/mirror.js';

const subject = (
  first: Disk,
  second: Disk,
  options: ConformanceCreateOptions,
  destroy: () => void,
): ConformanceBackend => ({
  io: mirror(first, second, options),
  directory: first.root,
  another: () => mirror(first, second),
  destroy,
});

describe('a mirror in memory', () => {
  const disk = (): Disk => {
    const io = createMemoryStorageIo();
    io.makeDirectory('/disk');
    return { io, root: '/disk' };
  };
  storageIoConformance({ test: it, create: (options = {}) => subject(disk(), disk(), options, () => {}) });
});

const BACKENDS: readonly (readonly [string, () => StorageIo])[] = [
  ['thread-pool', createThreadPoolStorageIo],
  ...(ringSupport().available ? ([['io-uring', createIoUringStorageIo]] as const) : []),
];

describe.each(BACKENDS)('a mirror on real files, on %s', (_name, create) => {
  storageIoConformance({
    test: it,
    create: (options = {}) => {
      const folder = mkdtempSync(join(tmpdir(), 'walstack-mirror-test-'));
      const io = create();
      const disk = (name: string): Disk => {
        mkdirSync(join(folder, name));
        return { io, root: join(folder, name) };
      };
      return subject(disk('a'), disk('b'), options, () => {
        void io.dispose();
        rmSync(folder, { recursive: true });
      });
    },
  });
});

it('is a plugin of at most 150 lines', () => {
  const lines = readFileSync(new URL('../src/mirror.ts', import.meta.url), 'utf8').split('\n').length - 1;
  expect(lines).toBeLessThanOrEqual(150);
});
