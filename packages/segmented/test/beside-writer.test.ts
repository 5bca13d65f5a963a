import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { WalError } from '@walstack/codec';
import { LogTail, MmapWalReader, replayDirectory } from '@walstack/mmap-reader';
import { createSyncFsStorageIo, ringSupport } from '@walstack/storage-io';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

/** How long readers and writer go on beside each other: some seconds, or a minute where there is time. */
const DURATION_MS = Number(process.env['WALSTACK_BESIDE_MS'] ?? 3000);

/** What the writer puts into the record with an LSN: no two are alike. */
const payloadOf = (lsn: number): string => `${lsn}:${String.fromCharCode(33 + (lsn % 90)).repeat((lsn * 37) % 300)}`;

/** Writes, rolls, truncates and uses files again as fast as it can, until its standard input ends. */
function writerOf(directory: string, io: string): string {
  const script = join(temporaryDirectory(), 'writer.mjs');
  writeFileSync(
    script,
    `import { SegmentedWal } from ${JSON.stringify(import.meta.resolve('@walstack/segmented'))};
     const payloadOf = ${payloadOf};
     const wal = await SegmentedWal.open({
       directory: ${JSON.stringify(directory)}, io: ${JSON.stringify(io)},
       segmentBytes: 64 * 1024, recycleSegments: 4, markAfterMs: 1,
     });
     let ended = false;
     process.stdin.resume().on('end', () => { ended = true; });
     for (let turn = 0; !ended; turn++) {
       for (let count = 0; count < 150; count++) wal.append(payloadOf(wal.nextLsn));
       if (turn % 4 === 3) await wal.flush();
       else await wal.sync();
       if (turn % 10 === 9) await wal.truncateBefore(Math.max(wal.firstLsn, wal.durableLsn - 2000));
       if (turn === 20) console.log('going');
     }
     const { recycled } = wal.stats();
     await wal.close();
     console.log(JSON.stringify({ lastLsn: wal.lastLsn, recycled }));`,
  );
  return script;
}

/** Whether the log changed while a reader was reading it, which is expected. */
const isGone = (error: unknown): boolean => WalError.is(error, 'WAL_TRUNCATED') || WalError.is(error, 'WAL_NOT_FOUND');

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** What the readers came to. */
interface Seen {
  replays: number;
  replayed: number;
  mapped: number;
  viewed: number;
  followed: number;
  gone: number;
}

/** Does something again and again; that a record is gone is counted. */
async function again(until: () => boolean, seen: Seen, work: () => Promise<void>): Promise<void> {
  while (!until()) {
    try {
      await work();
    } catch (error) {
      if (!isGone(error)) throw error;
      seen.gone++;
    }
    await setImmediate();
  }
}

async function replayAll(directory: string, seen: Seen, workers: number): Promise<void> {
  let expected = 0;
  await replayDirectory(directory, { copy: false, workers }).forEach(({ lsn, payload }) => {
    if (expected !== 0 && lsn !== expected) throw new Error(`LSN ${lsn} follows ${expected - 1}`);
    if (text(payload) !== payloadOf(lsn)) throw new Error(`LSN ${lsn} has another payload`);
    expected = lsn + 1;
    seen.replayed++;
  });
  seen.replays++;
}

/** Maps segments and holds views of them for a while: none of them changes. */
async function holdViews(directory: string, seen: Seen): Promise<void> {
  const names = readdirSync(directory).filter((name) => name.startsWith('wal-'));
  const open: { reader: MmapWalReader; views: [number, Uint8Array][] }[] = [];
  try {
    for (const name of names.slice(0, 3)) {
      const reader = MmapWalReader.open(join(directory, name));
      const views = [...reader].map(({ lsn, payload }): [number, Uint8Array] => [lsn, payload]);
      open.push({ reader, views });
      if (reader.isMapped) seen.mapped++;
    }
    for (let turn = 0; turn < 30; turn++) await setImmediate();
    for (const { views } of open) {
      for (const [lsn, view] of views) {
        if (text(view) !== payloadOf(lsn)) throw new Error(`the view of LSN ${lsn} has changed`);
        seen.viewed++;
      }
    }
  } finally {
    for (const { reader } of open) reader.close();
  }
  const [first] = open[0]?.views ?? [];
  if (first !== undefined && first[1].length !== 0) throw new Error('a view outlived its reader');
}

async function follow(directory: string, seen: Seen, until: () => boolean, durableOnly: boolean): Promise<void> {
  const io = createSyncFsStorageIo();
  const tail = new LogTail(io, directory, { durableOnly });
  let expected: number | undefined;
  try {
    while (!until()) {
      while (!until() && (await tail.advance())) {
        for (let record = tail.next(); record; record = tail.next()) {
          if (expected !== undefined && record.lsn !== expected) throw new Error(`LSN ${record.lsn}, not ${expected}`);
          if (text(record.payload) !== payloadOf(record.lsn)) throw new Error(`LSN ${record.lsn} has another payload`);
          expected = record.lsn + 1;
          seen.followed++;
        }
        await setImmediate();
      }
      await setImmediate();
    }
  } finally {
    tail.close();
    await io.dispose();
  }
}

const WRITERS = ['thread-pool', 'sync-fs', ...(ringSupport().available ? ['io-uring'] : [])];

describe.each(WRITERS)('beside a writer in another process on %s that truncates and uses its files again', (io) => {
  it(
    'readers map, replay, verify and follow: no view changes, nothing crashes, nothing is called corrupt',
    async () => {
      const directory = join(temporaryDirectory(), 'log');
      const writer = spawn(process.execPath, [writerOf(directory, io)], { stdio: ['pipe', 'pipe', 'inherit'] });
      const said: string[] = [];
      writer.stdout.on('data', (data: Buffer) => said.push(data.toString()));
      const exited = once(writer, 'exit');
      while (!said.join('').includes('going')) await setImmediate();

      const seen: Seen = { replays: 0, replayed: 0, mapped: 0, viewed: 0, followed: 0, gone: 0 };
      const deadline = performance.now() + DURATION_MS;
      const isOver = (): boolean => performance.now() > deadline;
      try {
        await Promise.all([
          again(isOver, seen, () => replayAll(directory, seen, 0)),
          again(isOver, seen, () => replayAll(directory, seen, 1)),
          again(isOver, seen, () => holdViews(directory, seen)),
          again(isOver, seen, () => follow(directory, seen, isOver, true)),
          again(isOver, seen, () => follow(directory, seen, isOver, false)),
        ]);
      } finally {
        writer.stdin.end();
        await exited;
      }
      const { lastLsn } = JSON.parse(said.join('').split('going')[1] as string) as { lastLsn: number };
      expect(lastLsn).toBeGreaterThan(0);
      // Each of them came to something.
      expect(Math.min(seen.replayed, seen.viewed, seen.followed)).toBeGreaterThan(0);
      // What is there in the end is whole.
      const left: number[] = [];
      await replayDirectory(directory).forEach(({ lsn }) => void left.push(lsn));
      expect(left.at(-1)).toBe(lastLsn);
    },
    60_000 + 2 * DURATION_MS,
  );
});
