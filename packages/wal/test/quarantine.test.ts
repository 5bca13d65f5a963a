import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MmapWalReader } from '@walstack/mmap-reader';
import { ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { replayQuarantine, type SalvageReport, type UnreadablePart, Wal, type WalOptions } from '@walstack/wal';
import { expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';

/** Segments of six records. */
const SMALL = { segmentBytes: 2560, blockBytes: 512, recycleSegments: 0, markAfterMs: 0 } as const;

/** Appends records up to an LSN; two of them in one batch. */
async function fill(wal: Wal, to: number, by: string, batchAt = 0): Promise<void> {
  while (wal.lastLsn < to) {
    const lsn = wal.lastLsn + 1;
    if (lsn !== batchAt) await wal.commit(`${by} ${lsn}`.padEnd(300));
    else {
      const batch = wal.batch();
      for (const each of [lsn, lsn + 1]) batch.add(`${by} ${each}`.padEnd(300));
      await wal.commitBatch(batch);
    }
  }
}

/** Changes a byte in the middle of a record. */
async function damage(wal: Wal, lsn: number): Promise<void> {
  const { path } = wal.listSegments().findLast(({ firstLsn }) => firstLsn <= lsn) as { readonly path: string };
  const reader = MmapWalReader.open(path);
  const cursor = reader.cursor();
  while (cursor.next() && cursor.lsn < lsn);
  const offset = cursor.offset + 100;
  reader.close();
  await flip(path, offset);
}

async function flip(path: string, offset: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[offset] = (bytes[offset] as number) ^ 1;
  await writeFile(path, bytes);
}

const textOf = ({ payload }: { readonly payload: Uint8Array }): string => text(payload).trim();

async function salvaged(directory: string, options: WalOptions = {}) {
  const wal = await Wal.open(directory, { ...SMALL, recoveryMode: 'salvage', ...options });
  return { wal, salvage: wal.recovery.salvage as SalvageReport };
}

/**
 * A log that was salvaged, with records behind its end that are kept in its last file; that was salvaged again, which has taken the
 * segment out that the first salvage had made; of which then more was cut off; and in the end salvaged for a third time.
 */
async function salvagedAroundACut(directory: string) {
  const made = await Wal.open(directory, SMALL);
  await fill(made, 12, 'old', 8);
  await damage(made, 10);
  await made.shutdown();
  const first = await salvaged(directory);
  await first.wal.checkpoint(1);
  await first.wal.shutdown();
  await flip(join(directory, 'checkpoint'), 20);
  const second = await salvaged(directory);
  await second.wal.truncateAfter(8);
  await fill(second.wal, 10, 'new');
  await damage(second.wal, 2);
  await second.wal.shutdown();
  return { first, second, third: await salvaged(directory) };
}

test('what was cut off behind a salvage stays away, and what that had given up in the same file is there', async () => {
  const { first, second, third } = await salvagedAroundACut(temporaryDirectory());
  expect([first.salvage.quarantined.length, second.salvage.quarantined.length]).toEqual([0, 2]);
  const parts: UnreadablePart[] = [];
  const found = Array.from(replayQuarantine(third.salvage.quarantine, { onUnreadable: (part) => parts.push(part) }));
  expect(found.map(textOf)).toEqual(['old 7', 'old 8', 'old 11', 'old 12', 'new 9', 'new 10']);
  expect(parts.map(({ firstLsn, lastLsn }) => [firstLsn, lastLsn])).toEqual([[10, 10]]);
  await third.wal.shutdown();
});

test('a batch that was cut ends where the import passes over what was cut off', async () => {
  const { third } = await salvagedAroundACut(temporaryDirectory());
  const other = await Wal.open(temporaryDirectory(), { ...SMALL, segmentBytes: 65_536 });
  await other.importFrom(third.salvage.quarantine, { quarantine: true, from: 8 });
  const records: string[] = [];
  await other.replay('first', (event) => void records.push(textOf(event)));
  expect(records).toEqual(['old 8', 'old 11', 'old 12', 'new 9', 'new 10']);
  // A cut inside a batch would drop all of it.
  const { path } = other.listSegments()[0] as { readonly path: string };
  const reader = MmapWalReader.open(path);
  const cursor = reader.cursor();
  const bytes = await readFile(path);
  while (cursor.next()) expect((bytes[cursor.offset + 26] as number) & 1).toBe(0);
  reader.close();
  for (const wal of [other, third.wal]) await wal.shutdown();
});

test('a salvage that has cut the newest segment has nothing in quarantine: there is nothing to read', async () => {
  const directory = temporaryDirectory();
  const made = await Wal.open(directory, SMALL);
  await fill(made, 10, 'old');
  await damage(made, 9);
  await made.shutdown();
  const { wal, salvage } = await salvaged(directory);
  expect(salvage.quarantined).toEqual([]);
  expect([...replayQuarantine(salvage.quarantine)]).toEqual([]);
  expect(await replayQuarantine(salvage.quarantine).forEach(() => {})).toBe(0);
  expect(await wal.importFrom(salvage.quarantine, { quarantine: true })).toMatchObject({ records: 0, lastLsn: 0 });
  const elsewhere = replayQuarantine(temporaryDirectory()).forEach(() => {});
  expect(await rejection(elsewhere)).toMatchObject({ code: 'WAL_NOT_FOUND' });
  await wal.shutdown();
});

/** Damages a record of a log on a simulated disk, and salvages it. @returns the quarantine */
async function salvageAt(io: StorageIo, lsn: number): Promise<string> {
  const wal = await Wal.open('/log', { ...SMALL, io });
  const { path, firstLsn } = wal.listSegments().findLast((segment) => segment.firstLsn <= lsn) as {
    readonly path: string;
    readonly firstLsn: number;
  };
  await wal.shutdown();
  const file = io.open(path);
  runSync(io, ioSteps.write(io, file, new Uint8Array([1]), 512 + (lsn - firstLsn) * 332 + 100));
  io.close(file);
  const { wal: again, salvage } = await salvaged('/log', { io });
  await again.shutdown();
  return salvage.quarantine;
}

test.each(['salvage', '.seg'])(
  'a quarantine is read where a file %s of an earlier salvage beside it cannot be read',
  async (suffix) => {
    const disk = new SimulatedDisk({ seed: 5 });
    const io = disk.createStorageIo();
    const wal = await Wal.open('/log', { ...SMALL, io });
    await fill(wal, 24, 'old');
    await wal.shutdown();
    const earlier = await salvageAt(io, 15);
    const later = await salvageAt(io, 3);
    disk.failWhen(({ kind, path }) =>
      kind === 'read' && path.startsWith(earlier) && path.endsWith(suffix) ? 'EIO' : undefined,
    );
    expect(Array.from(replayQuarantine(later, { io }), textOf)).toContain('old 7');
  },
);
