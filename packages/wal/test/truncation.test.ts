import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { textsOf, watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

const small = { segmentBytes: 4096, blockBytes: 512, recycleSegments: 0 };

describe.each(BACKENDS)('on %s', (_name, create) => {
  const filled = async (io: ReturnType<typeof create>, directory: string): Promise<Wal> => {
    const wal = await Wal.open(directory, { io, ...small });
    for (let lsn = 1; lsn <= 50; lsn++) wal.append(`event ${lsn} `.padEnd(300, '.'));
    await wal.sync();
    return wal;
  };

  test('truncateBefore removes whole segments below an LSN, but nothing that is held', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const wal = await filled(io, directory);
    await wal.hold('reader', 20);
    expect(wal.holds).toEqual({ reader: 20 });
    await wal.truncateBefore(40);
    expect(wal.firstLsn).toBeGreaterThan(5);
    expect(wal.firstLsn).toBeLessThanOrEqual(20);
    expect(await rejection(wal.hold('late', 1))).toMatchObject({ code: 'WAL_TRUNCATED', firstLsn: wal.firstLsn });
    expect(await wal.releaseHold('reader')).toBe(true);
    expect(await wal.releaseHold('reader')).toBe(false);
    const { segmentsDeleted } = await wal.truncateBefore(51);
    expect(segmentsDeleted).toBeGreaterThan(0);
    expect([wal.firstLsn, wal.lastLsn]).toEqual([51, 50]);
    expect(await wal.commit('event 51')).toBe(51);
    await wal.shutdown();
    await using again = await Wal.open(directory, { io });
    expect(await textsOf(again)).toEqual(['event 51']);
  });

  test('truncateAfter drops the tail, and the LSNs continue after the last kept one', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const wal = await filled(io, directory);
    await wal.checkpoint(40);
    expect(wal.checkpointLsn).toBe(40);
    await wal.truncateAfter(30);
    expect([wal.lastLsn, wal.durableLsn, wal.checkpointLsn]).toEqual([30, 30, 30]);
    expect(await wal.commit('another 31')).toBe(31);
    await wal.shutdown();
    await using again = await Wal.open(directory, { io });
    const texts = await textsOf(again);
    expect([texts.length, texts.at(-1), again.checkpointLsn]).toEqual([31, 'another 31', 30]);
  });

  test('resetTo drops everything and continues with another LSN', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const wal = await filled(io, directory);
    await wal.hold('reader', 10);
    await wal.resetTo(1000);
    expect([wal.firstLsn, wal.lastLsn, wal.holds]).toEqual([1000, 999, { reader: 1000 }]);
    expect(await wal.commit('a')).toBe(1000);
    await wal.shutdown();
    await using again = await Wal.open(directory, { io });
    expect(await textsOf(again)).toEqual(['a']);
  });

  test('retention keeps the events above the checkpoint, and otherwise at most retainBytes', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, ...small, retainBytes: 8192 });
    for (let lsn = 1; lsn <= 50; lsn++) await wal.commit('x'.repeat(300));
    expect(wal.firstLsn).toBe(1);
    await wal.checkpoint(50);
    expect(wal.firstLsn).toBeGreaterThan(30);
    expect(wal.stats().sizeBytes).toBeLessThanOrEqual(8192);
  });
});

describe('while the end of the log is cut off', () => {
  const cutting = async (lsn = 2) => {
    const disk = new StepDisk();
    const wal = await Wal.open(`${temporaryDirectory()}/log`, {
      io: disk.io,
      markAfterMs: 0,
      ...new ManualTime().options,
    });
    await Promise.all(['a', 'b', 'c'].map((text) => wal.commit(text)));
    disk.hold('datasync');
    const before = watch(wal.commit('d'));
    await disk.held('datasync');
    const cut = watch(wal.truncateAfter(lsn));
    return { disk, wal, before, cut };
  };

  test('a commit from before the cut resolves: its event was durable', async () => {
    const { disk, wal, before, cut } = await cutting();
    disk.releaseAll('datasync');
    await turns(50);
    expect([before.value, cut.state, wal.lastLsn]).toEqual([4, 'fulfilled', 2]);
    await wal.shutdown();
  });

  test('a commit in the same turn as the cut resolves: the cut makes it durable', async () => {
    const { disk, wal } = await cutting();
    disk.releaseAll('datasync');
    await turns(50);
    const last = watch(wal.commit('e'));
    const cut = watch(wal.truncateAfter(1));
    await turns(50);
    expect([last.value, cut.state, wal.lastLsn]).toEqual([3, 'fulfilled', 1]);
    await wal.shutdown();
  });

  test('a commit during the cut waits, and gets its LSN after it', async () => {
    const { disk, wal, cut } = await cutting();
    const meanwhile = watch(wal.commit('e'));
    const batch = watch(wal.commitBatch(wal.batch().add('f').add('g')));
    expect(thrown(() => wal.append('h'))).toMatchObject({ code: 'WAL_BACKPRESSURE' });
    expect(wal.stats().waitingForRoom).toBe(2);
    disk.releaseAll('datasync');
    await turns(50);
    expect([cut.state, meanwhile.value, batch.value]).toEqual(['fulfilled', 3, 5]);
    expect([wal.lastLsn, wal.durableLsn]).toEqual([5, 5]);
    expect(await textsOf(wal)).toEqual(['a', 'b', 'e', 'f', 'g']);
    await wal.shutdown();
  });

  test('append is rejected with WAL_STATE', async () => {
    const { disk, wal } = await cutting();
    expect(thrown(() => wal.append('h'))).toMatchObject({ code: 'WAL_STATE', state: 'truncating' });
    expect(thrown(() => wal.appendBatch(wal.batch().add('h')))).toMatchObject({ code: 'WAL_STATE' });
    disk.releaseAll('datasync');
    await turns(50);
    expect(wal.append('h')).toBe(3);
    await wal.shutdown();
  });

  test('shutdown waits for the cut and resolves the calls that wait for it', async () => {
    const { disk, wal, cut } = await cutting();
    const meanwhile = watch(wal.commit('e'));
    const shutdown = watch(wal.shutdown());
    await turns();
    expect([shutdown.state, wal.state]).toEqual(['pending', 'draining']);
    disk.releaseAll('datasync');
    await turns(80);
    expect([cut.state, meanwhile.value, shutdown.state, wal.durableLsn]).toEqual(['fulfilled', 3, 'fulfilled', 3]);
  });

  test('close rejects the calls that wait for it', async () => {
    const { disk, wal, cut } = await cutting();
    const meanwhile = watch(wal.commit('e'));
    const closed = watch(wal.close());
    await turns();
    expect(meanwhile.error).toMatchObject({ code: 'WAL_CLOSED' });
    disk.releaseAll('datasync');
    await turns(50);
    expect(cut.state).not.toBe('pending');
    expect(closed.state).toBe('fulfilled');
  });

  test('commits continue when the cut is rejected', async () => {
    const { disk, wal } = await cutting();
    const refused = rejection(wal.truncateAfter(99));
    const meanwhile = watch(wal.commit('e'));
    disk.releaseAll('datasync');
    expect(await refused).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    await turns(50);
    expect(meanwhile.value).toBe(3);
    await wal.shutdown();
  });

  test('a commit from before the cut resolves also when the cut fails after it has happened', async () => {
    const { disk, wal, before, cut } = await cutting(0);
    const meanwhile = watch(wal.commit('e'));
    disk.hold('syncDirectory');
    disk.releaseAll('datasync');
    await disk.held('syncDirectory');
    // The name of the new segment is durable with the first one; the second one follows the removal of files.
    disk.release('syncDirectory');
    await disk.held('syncDirectory');
    disk.fail('syncDirectory', 'EIO');
    disk.releaseAll('syncDirectory');
    await turns(80);
    expect([before.value, cut.state, wal.lastLsn]).toEqual([4, 'rejected', 0]);
    expect(wal.failure).toMatchObject({ code: 'WAL_IO_FAILED' });
    expect(meanwhile.error).toMatchObject({ code: 'WAL_IO_FAILED' });
    await wal.close().catch(() => {});
  });

  test('shutdown ends also when a second cut was rejected during the first one', async () => {
    const { disk, wal, cut } = await cutting();
    const refused = watch(wal.truncateAfter(99));
    const meanwhile = watch(wal.commit('e'));
    await turns();
    expect(refused.error).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    const shutdown = watch(wal.shutdown());
    await turns(20);
    expect([shutdown.state, cut.state]).toEqual(['pending', 'pending']);
    disk.releaseAll('datasync');
    await turns(80);
    expect([cut.state, meanwhile.value, shutdown.state]).toEqual(['fulfilled', 3, 'fulfilled']);
  });
});
