import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { SegmentedWal } from '@walstack/segmented';
import { Wal } from '@walstack/wal';
import type { Case, Contestant } from './case.js';
import { commitFor, commitSyncFor } from './committers.js';
import { FsGroupCommit } from './fs-group-commit.js';
import { checkFile, checkLog } from './read-back.js';
import { RECORD_BYTES } from './records.js';
import type { Settings } from './settings.js';

const BACKENDS = ['thread-pool', 'sync-fs'] as const;
const COMMITTERS = [1, 8, 64, 512];

/** Records that are waited for until they are on stable storage. */
export function durable(settings: Settings): Case[] {
  const concurrent = COMMITTERS.map((committers) => ({
    bench: 'durable',
    name: `committers=${committers}`,
    unit: 'commits/s',
    contestants: [...BACKENDS.map((io) => walstack(settings, io, committers)), fileSystem(settings, committers)],
  }));
  const blocking = [walstackSync(settings), fileSystemSync(settings)];
  return [...concurrent, { bench: 'durable', name: 'sync', unit: 'commits/s', contestants: blocking }];
}

function walstack({ scratch, durationMs }: Settings, io: (typeof BACKENDS)[number], committers: number): Contestant {
  return {
    subject: `walstack/${io}`,
    measure: async () => {
      const directory = scratch.next('log');
      const wal = await Wal.open(directory, { io });
      const { commits, ...sample } = await commitFor(wal, committers, durationMs);
      await wal.shutdown();
      await checkLog(directory, commits, RECORD_BYTES);
      scratch.remove(directory);
      return sample;
    },
  };
}

function fileSystem({ scratch, durationMs }: Settings, committers: number): Contestant {
  return {
    subject: 'fs',
    measure: async () => {
      const path = scratch.next('file');
      const fd = openSync(path, 'wx');
      const { commits, ...sample } = await commitFor(new FsGroupCommit(fd), committers, durationMs);
      closeSync(fd);
      checkFile(path, commits, RECORD_BYTES);
      scratch.remove(path);
      return sample;
    },
  };
}

function walstackSync({ scratch, durationMs }: Settings): Contestant {
  return {
    subject: 'walstack/sync-fs',
    measure: async () => {
      const directory = scratch.next('log');
      const wal = SegmentedWal.openSync({ directory, io: 'sync-fs' });
      const commit = (payload: Uint8Array): void => {
        wal.append(payload);
        wal.syncSync();
      };
      const { commits, ...sample } = commitSyncFor(commit, durationMs);
      wal.closeSync();
      await checkLog(directory, commits, RECORD_BYTES);
      scratch.remove(directory);
      return sample;
    },
  };
}

function fileSystemSync({ scratch, durationMs }: Settings): Contestant {
  return {
    subject: 'fs',
    measure: async () => {
      const path = scratch.next('file');
      const fd = openSync(path, 'wx');
      let position = 0;
      const commit = (payload: Uint8Array): void => {
        position += writeSync(fd, payload, 0, payload.length, position);
        fdatasyncSync(fd);
      };
      const { commits, ...sample } = commitSyncFor(commit, durationMs);
      closeSync(fd);
      checkFile(path, commits, RECORD_BYTES);
      scratch.remove(path);
      return sample;
    },
  };
}
