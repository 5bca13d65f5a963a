import { spawnSync } from 'node:child_process';
import type { Case, Contestant } from '../../case.js';
import { inPackage } from '../../machine/folders.js';
import { RECORD_BYTES } from '../../payloads/records.js';
import type { Settings } from '../../settings.js';
import { appendRange } from '../append/append.js';

/** Bytes of a record in a log. */
const FRAME_BYTES = RECORD_BYTES + 32;

const MEBIBYTE = 2 ** 20;

/** Of the largest log that is replayed. */
const PARTS = [1 / 8, 1 / 4, 1 / 2, 1];

/** By how much the memory of a process grows at most while it replays more and more of a log. */
export function replayMemory(settings: Settings): Case[] {
  const walstack = settings.subjects.find(({ name }) => name.startsWith('walstack/'));
  if (walstack === undefined) return [];
  const { scratch, memoryBytes } = settings;
  let made: Promise<string> | undefined;
  const make = async (): Promise<string> => {
    const path = scratch.next('log');
    const log = await walstack.appending(path, memoryBytes);
    await appendRange(log, 1, Math.ceil(memoryBytes / FRAME_BYTES), RECORD_BYTES);
    await log.flush();
    await log.close();
    return path;
  };
  const contestant = (subject: string, bytes: number, part: 'heapBytes' | 'residentBytes'): Contestant => ({
    subject,
    measure: async () => {
      made ??= make();
      const lastLsn = Math.ceil(bytes / FRAME_BYTES);
      const program = inPackage('dist', 'memory-of-replay.js');
      const args = ['--expose-gc', program, await made, String(lastLsn)];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(`memory-of-replay failed: ${stderr}`);
      const growth = JSON.parse(stdout) as Record<typeof part, number>;
      return { value: Math.max(0, growth[part]) };
    },
  });
  return PARTS.map((part) => memoryBytes * part).map((bytes) => ({
    bench: 'replay',
    name: `memory MiB=${Math.round(bytes / MEBIBYTE)}`,
    unit: 'bytes',
    contestants: [
      contestant('walstack/heap', bytes, 'heapBytes'),
      contestant('walstack/resident', bytes, 'residentBytes'),
    ],
  }));
}
