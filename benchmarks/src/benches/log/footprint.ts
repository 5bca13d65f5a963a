import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Case, Contestant, Sample } from '../../case.js';
import { inPackage } from '../../machine/folders.js';
import { readBack } from '../../payloads/read-back.js';
import { NumberedRecord, RECORD_BYTES } from '../../payloads/records.js';
import type { Settings } from '../../settings.js';
import { onBackends } from '../../subjects/on-backends.js';

/** What is taken of the disk by so many records, of which so many at a time are waited for, while the log is still open. */
export function diskBytes(settings: Settings, records: number, atATime: number): Case {
  const name = records === 0 ? 'disk records=0' : `disk records=${records} sync=${atATime}`;
  return spaceOf(settings, name, records, atATime);
}

/** The same for commits of which none is made before the one before it is durable. */
export const loneCommits = (settings: Settings): Case =>
  spaceOf(settings, `lone=${settings.loneCommits}`, settings.loneCommits, 1);

function spaceOf(settings: Settings, name: string, records: number, atATime: number): Case {
  const { scratch } = settings;
  const contestants = settings.subjects.map((subject) => ({
    subject: subject.name,
    measure: async () => {
      const path = scratch.next('log');
      const committing = await subject.committing(path);
      const record = new NumberedRecord(RECORD_BYTES);
      for (let next = 1; next <= records; ) {
        const waiting: Promise<unknown>[] = [];
        for (const end = Math.min(records, next + atATime - 1); next <= end; next++) {
          waiting.push(committing.commit(record.numbered(next)));
        }
        await Promise.all(waiting);
      }
      const value = diskBytesOf(path);
      await committing.close();
      const closed = { name: 'closed', unit: 'bytes', value: diskBytesOf(path) };
      if (records > 0) await readBack(subject, path, records, RECORD_BYTES);
      scratch.remove(path);
      return { value, also: [closed] };
    },
  }));
  return { bench: 'log', name, unit: 'bytes', contestants };
}

/** Bytes of the blocks that a file, or the files of a directory, take of the disk. */
function diskBytesOf(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.blocks * 512;
  return readdirSync(path).reduce((sum, name) => sum + diskBytesOf(join(path, name)), 0);
}

/** Opening a directory that is not there as a new log; `fs` does the same syncs by hand. */
export function opening(settings: Settings): Case {
  const { scratch } = settings;
  const timed = async (open: (path: string) => Promise<() => Promise<void>>): Promise<Sample> => {
    const path = scratch.next('log');
    const start = performance.now();
    const close = await open(path);
    const elapsedUs = (performance.now() - start) * 1000;
    await close();
    scratch.remove(path);
    return { value: elapsedUs };
  };
  const contestants: Contestant[] = settings.subjects.map((subject) => ({
    subject: subject.name,
    measure: () =>
      timed(async (path) => {
        if (subject.name === 'fs') return openByHand(path);
        const opened = await subject.committing(path);
        return () => opened.close();
      }),
  }));
  return { bench: 'log', name: 'open', unit: 'µs', contestants };
}

/** Makes a directory with one segment that has a header, durably: the file, its name, and that of the directory. */
function openByHand(directory: string): () => Promise<void> {
  mkdirSync(directory);
  const draft = join(directory, 'next.seg');
  const fd = openSync(draft, 'wx');
  writeSync(fd, new Uint8Array(4096));
  fdatasyncSync(fd);
  renameSync(draft, join(directory, 'first.seg'));
  for (const each of [directory, dirname(directory)]) {
    const opened = openSync(each, 'r');
    fsyncSync(opened);
    closeSync(opened);
  }
  return async () => closeSync(fd);
}

/** What one more log takes of memory when it is open and not used. */
export function idleMemory(settings: Settings): Case {
  const contestants = onBackends(settings.subjects, (subject, io) => ({
    subject: subject.name,
    measure: async () => {
      const path = settings.scratch.next('logs');
      const program = inPackage('dist', 'idle-memory.js');
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', program, io, path], {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`idle-memory failed: ${stderr}`);
      settings.scratch.remove(path);
      return { value: Number(stdout) };
    },
  }));
  return { bench: 'log', name: 'memory idle', unit: 'bytes', contestants };
}
