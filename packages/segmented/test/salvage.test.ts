import { join } from 'node:path';
import { decodeCheckpoint, decodeSegmentHeader, encodeCheckpoint } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { ioSteps, runAsync, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { BACKENDS } from './support/environments.js';
import { changed, flip, readFile, restore, type Snapshot, sameFiles, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, openIn, texts } from './support/logs.js';
import { CONFIG, damaged, firstLsnOf, made, NAMES, nameOf, salvage, without } from './support/salvage-logs.js';

const refusal = (io: StorageIo): unknown => {
  try {
    openIn(io, CONFIG);
  } catch (error) {
    return error;
  }
  return undefined;
};

/** Every file in quarantine, by its name; without the reports. */
function quarantined(io: StorageIo): Snapshot {
  const parent = join(DIRECTORY, 'quarantine');
  const found = new Map<string, Uint8Array>();
  if (!io.list(DIRECTORY).includes('quarantine')) return found;
  for (const directory of io.list(parent)) {
    for (const name of io.list(join(parent, directory))) {
      if (name !== 'salvage') found.set(name, readFile(io, join(parent, directory, name)));
    }
  }
  return found;
}

/** Only the log's own files. */
const filesOf = (io: StorageIo): Snapshot =>
  new Map(
    io
      .list(DIRECTORY)
      .filter((name) => io.stat(join(DIRECTORY, name)).kind === 'file' && !name.startsWith('LOCK'))
      .map((name) => [name, readFile(io, join(DIRECTORY, name))]),
  );

describe('a record that is lost in the middle', () => {
  test.each([2, 9, 15, 29])('ends the log before LSN %i, and the rest is in quarantine', (lsn) => {
    const files = damaged(lsn);
    const io = restore(files);
    const strict = refusal(io);
    expect(strict).toMatchObject({ code: 'WAL_CORRUPT', lsn });
    expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);

    const wal = salvage(io);
    const hidden = NAMES.filter((name) => firstLsnOf(name) > lsn || firstLsnOf(name) === lsn);
    expect(wal.recovery).toMatchObject({ mode: 'salvage', reason: 'salvaged', firstLsn: 1, lastLsn: lsn - 1 });
    expect(wal.recovery.records).toBe(lsn - 1);
    expect(wal.recovery.salvage).toMatchObject({ lost: [{ fromLsn: lsn, toLsn: 30 }], quarantined: hidden });
    expect(wal.recovery.salvage?.damage).toMatchObject({
      code: 'WAL_CORRUPT',
      lsn,
      path: (strict as Error & { path: string }).path,
    });
    expect(texts(wal.replay())).toEqual(made.payloads.slice(1, lsn));
    expect(sameFiles(quarantined(io), new Map(hidden.map((name) => [name, files.get(name) as Uint8Array])))).toBe(true);
    expect(io.list(wal.recovery.salvage?.quarantine as string)).toEqual(['salvage', ...hidden]);
    // The file that is cut is not touched.
    for (const [name, bytes] of files) {
      if (!hidden.includes(name)) expect(Buffer.compare(bytes, filesOf(io).get(name) as Uint8Array)).toBe(0);
    }

    expect(wal.append('onward')).toBe(lsn);
    wal.closeSync();
    const again = openIn(io, CONFIG);
    expect(again.recovery).toMatchObject({ mode: 'strict', reason: 'clean', records: lsn, salvage: undefined });
    expect(texts(again.replay())).toEqual([...made.payloads.slice(1, lsn), 'onward']);
    again.closeSync();
    expect(quarantined(io).size).toBe(hidden.length);
  });

  test('with the first record of all lost, nothing is left but the LSNs', () => {
    const io = restore(damaged(1));
    const wal = salvage(io);
    expect(wal.recovery).toMatchObject({ records: 0, firstLsn: 1, lastLsn: 0, segments: 0 });
    expect(wal.append('anew')).toBe(1);
    wal.closeSync();
    expect(quarantined(io).size).toBe(NAMES.length);
    expect(texts(openIn(io, CONFIG).replay())).toEqual(['anew']);
  });

  test('where nothing is lost, salvage is an ordinary recovery', () => {
    const wal = salvage(restore(made.files));
    expect(wal.recovery).toMatchObject({ mode: 'salvage', reason: 'unclosed', records: 30, salvage: undefined });
    expect(wal.io.list(DIRECTORY)).not.toContain('quarantine');
    wal.closeSync();
    expect(SegmentedWal.recoverSync({ directory: DIRECTORY, io: wal.io, recoveryMode: 'salvage' })).toMatchObject({
      reason: 'clean',
    });
  });
});

describe('checkpoint and holds', () => {
  test('go back to what is left', () => {
    const source = restore(made.files);
    const wal = openIn(source, CONFIG);
    wal.checkpointSync(25);
    wal.holdSync('ahead', 27);
    wal.holdSync('behind', 4);
    const io = restore(damaged(15, snapshot(source, DIRECTORY)));
    const salvaged = salvage(io);
    expect(salvaged.recovery.salvage?.lost).toEqual([{ fromLsn: 15, toLsn: 30 }]);
    expect([salvaged.checkpointLsn, salvaged.holds]).toEqual([14, { ahead: 14, behind: 4 }]);
    salvaged.closeSync();
    expect([openIn(io).checkpointLsn, salvaged.lastLsn]).toEqual([14, 14]);
  });

  test('a checkpoint ahead of the log alone is a reason', () => {
    const source = restore(made.files);
    const { logId } = decodeSegmentHeader(made.files.get(nameOf(0)) as Uint8Array, 'a segment');
    const checkpoint = encodeCheckpoint({ logId, firstSegment: 1, checkpointLsn: 33, holds: {} });
    const io = restore(new Map([...snapshot(source, DIRECTORY), ['checkpoint', checkpoint]]));
    expect(refusal(io)).toMatchObject({ reason: 'hole-before-checkpoint' });
    const wal = salvage(io);
    expect(wal.recovery.salvage).toMatchObject({ lost: [{ fromLsn: 31, toLsn: 33 }], quarantined: [] });
    expect([wal.lastLsn, wal.checkpointLsn]).toEqual([30, 30]);
  });

  test('a damaged checkpoint is kept in quarantine, and the log goes on with what there is', () => {
    const source = restore(made.files);
    const wal = openIn(source, CONFIG);
    wal.truncateBeforeSync(12);
    const { firstLsn } = wal;
    wal.closeSync();
    const files = changed(snapshot(source, DIRECTORY), 'checkpoint', flip(20));
    const io = restore(files);
    expect(refusal(io)).toMatchObject({ code: 'WAL_CORRUPT', path: join(DIRECTORY, 'checkpoint') });
    const salvaged = salvage(io);
    expect(salvaged.recovery).toMatchObject({ firstLsn, lastLsn: 30, reason: 'salvaged' });
    // With the empty segment that the new one replaces.
    const empty = segmentNames(files).at(-1);
    expect(salvaged.recovery.salvage).toMatchObject({ lost: [], quarantined: [empty, 'checkpoint'] });
    expect(Buffer.compare(quarantined(io).get('checkpoint') as Uint8Array, files.get('checkpoint') as Uint8Array)).toBe(
      0,
    );
    salvaged.closeSync();
    const again = openIn(io, CONFIG);
    expect([again.firstLsn, again.lastLsn, again.checkpointLsn]).toEqual([firstLsn, 30, 0]);
  });
});

describe('a break in the chain', () => {
  test('at a segment whose header is damaged: the segment before it is the last one kept', () => {
    const name = nameOf(-2);
    const io = restore(changed(made.files, name, flip(20)));
    const wal = salvage(io);
    expect(wal.recovery.lastLsn).toBe(firstLsnOf(name) - 1);
    expect(wal.recovery.salvage?.quarantined).toEqual(NAMES.slice(-2));
    wal.closeSync();
    expect(texts(openIn(io).replay())).toEqual(made.payloads.slice(1, firstLsnOf(name)));
  });

  test('at the newest segment, and at the first', () => {
    const newest = salvage(restore(changed(made.files, nameOf(-1), flip(20))));
    expect(newest.recovery.lastLsn).toBe(firstLsnOf(nameOf(-1)) - 1);
    const first = salvage(restore(changed(made.files, nameOf(0), flip(20))));
    expect(first.recovery).toMatchObject({ records: 0, lastLsn: 0 });
    expect(first.recovery.salvage?.lost).toEqual([{ fromLsn: 1, toLsn: 30 }]);
  });

  test('two damaged segments: the lower one counts', () => {
    const io = restore(changed(changed(made.files, nameOf(-1), flip(20)), nameOf(1), flip(20)));
    expect(salvage(io).recovery.lastLsn).toBe(firstLsnOf(nameOf(1)) - 1);
  });

  test('at a segment that is missing it asks for an LSN, with nothing changed, and goes by it', () => {
    const files = without(made.files, nameOf(2));
    const io = restore(files);
    expect(() => salvage(io)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'missing-segment' }));
    expect(() => salvage(io)).toThrow('salvageLsn');
    expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
    const before = firstLsnOf(nameOf(2));
    expect(() => salvage(io, { salvageLsn: before + 3 })).toThrow('salvageLsn');
    // The part below the gap.
    const low = salvage(io, { salvageLsn: before });
    expect(low.recovery).toMatchObject({ firstLsn: 1, lastLsn: before - 1 });
    expect(low.recovery.salvage?.quarantined).toEqual(NAMES.slice(3));
    // The part above it, with the beginning lost.
    const other = restore(files);
    const high = salvage(other, { salvageLsn: 31 });
    expect(high.recovery).toMatchObject({ firstLsn: firstLsnOf(nameOf(3)), lastLsn: 30 });
    expect(high.recovery.salvage).toMatchObject({
      lost: [{ fromLsn: 1, toLsn: firstLsnOf(nameOf(3)) - 1 }],
      quarantined: NAMES.slice(0, 2),
    });
    expect(high.append('on')).toBe(31);
    high.closeSync();
    const again = openIn(other);
    expect([again.firstLsn, again.lastLsn]).toEqual([firstLsnOf(nameOf(3)), 31]);
    const path = join(DIRECTORY, 'checkpoint');
    expect(decodeCheckpoint(readFile(other, path), path).firstSegment).toBe(again.listSegments()[0]?.number);
  });

  test('where a cut has left records that are hidden, and its segment is gone, it asks', () => {
    const source = restore(made.files);
    const wal = openIn(source, CONFIG);
    const cut = firstLsnOf(nameOf(2)) - 3;
    wal.truncateAfterSync(cut);
    while (wal.nextLsn < firstLsnOf(nameOf(2))) wal.append('other'.padEnd(900));
    wal.truncateBeforeSync(1);
    wal.syncSync();
    const files = snapshot(source, DIRECTORY);
    const [above, broken] = segmentNames(files).reverse();
    expect(firstLsnOf(broken as string)).toBeGreaterThan(cut);
    // Without it the hidden records would be taken for those that took their place.
    const left = new Map([...files].filter(([name]) => name !== broken));
    const io = restore(changed(left, above as string, flip(20)));
    expect(() => salvage(io)).toThrow('salvageLsn');
  });
});

describe('what stands below a segment made by salvage, with no checkpoint that says so', () => {
  const files = damaged(15);
  const done = () => {
    const io = restore(files);
    const wal = salvage(io);
    return { io, wal };
  };

  /** What is there now, and everything that was moved. */
  function putBack(io: StorageIo, given: Snapshot): StorageIo {
    const all = new Map([...given, ...filesOf(io)]);
    all.delete('checkpoint');
    return restore(all);
  }

  test('is moved into quarantine by the next opening', () => {
    const { io } = done();
    const crashed = putBack(io, files);
    const again = openIn(crashed, CONFIG);
    expect(again.lastLsn).toBe(14);
    expect([...quarantined(crashed).keys()]).toEqual(NAMES.filter((name) => firstLsnOf(name) > 14));
    again.closeSync();
  });

  test('also when the opening that goes on with it crashes, and when it is opened often', () => {
    const { io } = done();
    const crashed = putBack(io, files);
    // An opening that was killed right behind the name of its new segment.
    openIn(crashed, CONFIG);
    const hidden = quarantined(crashed);
    const twice = putBack(crashed, hidden);
    const again = openIn(twice, CONFIG);
    expect(again.lastLsn).toBe(14);
    expect([...quarantined(twice).keys()]).toEqual([...hidden.keys()]);
    // Empty segments replace each other, and are not kept.
    let life = twice;
    for (let opened = 0; opened < 3; opened++) {
      life = restore(filesOf(life));
      const { length } = openIn(life, CONFIG).listSegments();
      expect(segmentNames(filesOf(life))).toHaveLength(length);
      expect(quarantined(life).size).toBe(0);
    }
  });
});

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('recover repairs a damaged log and says how', async () => {
    const io = create();
    const directory = directoryFor(io);
    const config = { directory, io, segmentBytes: 4096, blockBytes: 512 };
    const wal = await SegmentedWal.open(config);
    for (let lsn = 1; lsn <= 60; lsn++) wal.append(new Uint8Array(200).fill(lsn));
    await wal.close();
    const [, second] = wal.listSegments();
    const file = io.open(second?.path as string);
    await runAsync(io, ioSteps.write(io, file, Uint8Array.from([1, 2, 3]), 600));
    io.close(file);
    await expect(SegmentedWal.recover(config)).rejects.toMatchObject({ code: 'WAL_CORRUPT' });
    await expect(SegmentedWal.recover({ ...config, recoveryMode: 'readonly' })).rejects.toMatchObject({
      code: 'WAL_CORRUPT',
    });
    const report = await SegmentedWal.recover({ ...config, recoveryMode: 'salvage' });
    expect(report).toMatchObject({ reason: 'salvaged', lastLsn: (second?.firstLsn as number) - 1 });
    expect(io.list(report.salvage?.quarantine as string)).toEqual(['salvage', ...(report.salvage?.quarantined ?? [])]);
    expect(await SegmentedWal.recover(config)).toMatchObject({ reason: 'clean', records: report.records });
    await expect(SegmentedWal.recover({ directory: join(directory, 'none'), io })).rejects.toMatchObject({
      code: 'WAL_NOT_FOUND',
    });
    expect(io.list(directory)).not.toContain('none');
    await io.dispose();
  });
});
