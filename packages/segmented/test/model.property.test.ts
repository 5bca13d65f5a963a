import { KeyRing } from '@walstack/codec';
import { Batch, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { SimulatedDisk, type SimulatedIoOptions } from '@walstack/storage-io/simulation';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TestWorld } from './support/worlds.js';

/**
 * Every call of a log in random order, power cuts and kills included, against a model of a few lines: an array of
 * records, a checkpoint and a table of holds.
 */

interface ModelRecord {
  readonly payload: string;
  /** LSN of the last record of its batch. */
  batchEnd: number;
}

interface Model {
  /** LSN of the first record in the array; the log may begin earlier in the same array only. */
  firstLsn: number;
  records: ModelRecord[];
  durableLsn: number;
  checkpointLsn: number;
  holds: Map<string, number>;
  /** Nothing from here on may have been dropped. */
  neededLsn: number;
}

interface Real {
  disk: SimulatedDisk;
  wal: SegmentedWal;
  readonly world: TestWorld;
  readonly io: SimulatedIoOptions;
  readonly config: Partial<SegmentedWalConfig>;
  appended: number;
}

const RING = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(1) }, [{ id: 2, key: new Uint8Array(32).fill(2) }]);

const nextLsnOf = (model: Model): number => model.firstLsn + model.records.length;

function open(real: Real): void {
  const io = real.disk.createStorageIo(real.io);
  const config = { directory: '/log', io, blockBytes: 512, ...real.world.options, ...real.config };
  real.wal = SegmentedWal.openSync(config);
}

/** An LSN at a part of a range, both ends included. */
const at = (from: number, to: number, part: number): number => from + Math.floor((to - from + 0.999) * part);

/** Takes in what a log was found to have after a crash. */
function afterCrash({ wal, config }: Real, model: Model): void {
  const kept = wal.nextLsn - model.firstLsn;
  expect(wal.lastLsn).toBeGreaterThanOrEqual(model.durableLsn);
  expect(kept).toBeLessThanOrEqual(model.records.length);
  model.records = model.records.slice(0, kept);
  const last = model.records.at(-1);
  if (last !== undefined) expect(last.batchEnd).toBe(wal.lastLsn);
  model.durableLsn = wal.lastLsn;
  expect(wal.recovery).toMatchObject({ mode: config.recoveryMode ?? 'strict', salvage: undefined });
}

/** Everything that can be asked of a log, against the model. */
function compare({ wal }: Real, model: Model): void {
  const nextLsn = nextLsnOf(model);
  expect([wal.nextLsn, wal.lastLsn]).toEqual([nextLsn, nextLsn - 1]);
  expect(wal.durableLsn).toBeGreaterThanOrEqual(model.durableLsn);
  model.durableLsn = wal.durableLsn;
  expect(wal.checkpointLsn).toBe(model.checkpointLsn);
  expect(new Map(Object.entries(wal.holds))).toEqual(model.holds);
  expect(wal.firstLsn).toBeGreaterThanOrEqual(model.firstLsn);
  const needed = Math.min(model.neededLsn, nextLsn, ...model.holds.values());
  expect(wal.firstLsn).toBeLessThanOrEqual(Math.max(needed, model.firstLsn));
  model.records = model.records.slice(wal.firstLsn - model.firstLsn);
  model.firstLsn = wal.firstLsn;
  expect([...wal.replay()].map(({ payload }) => Buffer.from(payload).toString())).toEqual(
    model.records.map(({ payload }) => payload),
  );
  const segments = wal.listSegments();
  expect(segments[0]?.firstLsn ?? nextLsn).toBe(wal.firstLsn);
  expect(wal.totalSizeBytes()).toBe(segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
}

type Step = fc.Command<Model, Real>;

/** A step that is always possible. */
const step = (name: string, run: (model: Model, real: Real) => void): Step => ({
  check: () => true,
  run(model, real) {
    run(model, real);
    compare(real, model);
  },
  toString: () => name,
});

function append(model: Model, real: Real, sizes: readonly number[]): void {
  const firstLsn = nextLsnOf(model);
  const payloads = sizes.map((size) => `${++real.appended}`.padEnd(size, '.'));
  const batchEnd = firstLsn + sizes.length - 1;
  if (payloads.length === 1) {
    expect(real.wal.append(payloads[0] as string)).toBe(firstLsn);
  } else {
    const batch = new Batch();
    for (const payload of payloads) batch.add(payload);
    expect(real.wal.appendBatch(batch)).toBe(batchEnd);
  }
  model.records.push(...payloads.map((payload) => ({ payload, batchEnd })));
}

function dropAfter(model: Model, lsn: number): void {
  model.records = model.records.slice(0, lsn + 1 - model.firstLsn);
  // What a cut leaves of a batch is all there ever was of it.
  for (const record of model.records) record.batchEnd = Math.min(record.batchEnd, lsn);
  lower(model, lsn);
}

function lower(model: Model, lastLsn: number): void {
  model.durableLsn = lastLsn;
  model.checkpointLsn = Math.min(model.checkpointLsn, lastLsn);
  model.neededLsn = Math.min(model.neededLsn, lastLsn + 1);
  for (const [name, lsn] of model.holds) model.holds.set(name, Math.min(lsn, Math.max(1, lastLsn)));
}

const part = fc.double({ min: 0, max: 1, noNaN: true });
const size = fc.oneof(fc.nat(60), fc.integer({ min: 440, max: 490 }), fc.nat(2500));
const name = fc.constantFrom('a', 'b', '__proto__');

const steps: fc.Arbitrary<Step>[] = [
  size.map((bytes) => step(`append ${bytes}`, (model, real) => append(model, real, [bytes]))),
  fc
    .array(size, { minLength: 2, maxLength: 5 })
    .map((sizes) => step(`batch ${sizes}`, (model, real) => append(model, real, sizes))),
  fc.constant(
    step('sync', (model, { wal }) => {
      wal.syncSync();
      model.durableLsn = wal.lastLsn;
    }),
  ),
  fc.constant(step('flush', (_model, { wal }) => wal.flushSync())),
  fc.constant(
    step('quiet', (_model, { wal, world }) => {
      world.fire();
      wal.flushSync();
    }),
  ),
  part.map((where) =>
    step(`truncateBefore ${where}`, (model, { wal }) => {
      const lsn = at(wal.firstLsn, wal.nextLsn, where);
      model.neededLsn = Math.max(model.neededLsn, lsn);
      wal.truncateBeforeSync(lsn);
    }),
  ),
  part.map((where) =>
    step(`truncateAfter ${where}`, (model, { wal }) => {
      const lsn = at(wal.firstLsn - 1, wal.lastLsn, where);
      const isCut = lsn < wal.lastLsn;
      wal.truncateAfterSync(lsn);
      if (isCut) dropAfter(model, lsn);
      model.durableLsn = lsn;
    }),
  ),
  fc.integer({ min: -5, max: 5 }).map((away) =>
    step(`resetTo ${away}`, (model, { wal }) => {
      const lsn = Math.max(1, wal.nextLsn + away);
      wal.resetToSync(lsn);
      if (model.records.length > 0 || lsn !== model.firstLsn) lower(model, lsn - 1);
      model.firstLsn = lsn;
      model.records = [];
      model.neededLsn = lsn;
      for (const hold of model.holds.keys()) model.holds.set(hold, lsn);
    }),
  ),
  part.map((where) =>
    step(`checkpoint ${where}`, (model, { wal, config }) => {
      const lsn = at(wal.firstLsn - 1, wal.lastLsn, where);
      wal.checkpointSync(lsn);
      model.checkpointLsn = Math.max(model.checkpointLsn, lsn);
      if (config.retainBytes !== undefined) model.neededLsn = Math.max(model.neededLsn, model.checkpointLsn + 1);
    }),
  ),
  fc.tuple(name, part).map(([hold, where]) =>
    step(`hold ${hold} ${where}`, (model, { wal }) => {
      const lsn = at(wal.firstLsn, wal.nextLsn, where);
      wal.holdSync(hold, lsn);
      model.holds.set(hold, lsn);
    }),
  ),
  name.map((hold) =>
    step(`releaseHold ${hold}`, (model, { wal }) => {
      expect(wal.releaseHoldSync(hold)).toBe(model.holds.delete(hold));
    }),
  ),
  fc.constantFrom(1, 2).map((id) =>
    step(`rotateKey ${id}`, (model, { wal, config }) => {
      if (config.keyRing === undefined) return;
      wal.rotateKeySync(id);
      model.durableLsn = wal.lastLsn;
    }),
  ),
  fc.tuple(part, fc.integer({ min: 1, max: 4 })).map(([where, limit]) =>
    step(`page ${where} ${limit}`, (model, { wal }) => {
      const lsn = at(wal.firstLsn, wal.nextLsn, where);
      const expected = model.records.slice(lsn - model.firstLsn);
      const { records, more } = wal.replayFromLimitSync(lsn, limit);
      expect(records.map(({ payload }) => Buffer.from(payload).toString())).toEqual(
        expected.slice(0, limit).map(({ payload }) => payload),
      );
      expect(more).toBe(expected.length > limit);
      expect(wal.readSync(lsn)?.lsn).toBe(expected.length > 0 ? lsn : undefined);
      expect([...wal.replayFrom(lsn)]).toHaveLength(expected.length);
    }),
  ),
  fc.constant(
    step('what is out of reach', (_model, { wal }) => {
      const outOfRange = expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' });
      const truncated = expect.objectContaining({ code: 'WAL_TRUNCATED', firstLsn: wal.firstLsn });
      for (const call of ['truncateBeforeSync', 'replayFrom'] as const) {
        expect(() => wal[call](wal.nextLsn + 1)).toThrow(outOfRange);
      }
      expect(() => wal.truncateAfterSync(wal.nextLsn)).toThrow(outOfRange);
      expect(() => wal.checkpointSync(wal.nextLsn)).toThrow(outOfRange);
      expect(() => wal.holdSync('a', wal.nextLsn + 1)).toThrow(outOfRange);
      if (wal.firstLsn < 3) return;
      expect(() => wal.truncateAfterSync(wal.firstLsn - 2)).toThrow(truncated);
      expect(() => wal.holdSync('a', wal.firstLsn - 1)).toThrow(truncated);
      expect(() => wal.replayFrom(wal.firstLsn - 1)).toThrow(truncated);
    }),
  ),
  fc.constant(
    step('read beside it', (model, { disk, config, io, world }) => {
      const beside = { ...config, recoveryMode: 'readonly' as const, io: disk.createStorageIo(io) };
      const reader = SegmentedWal.openSync({ directory: '/log', blockBytes: 512, ...world.options, ...beside });
      const found = [...reader.replay()].map(({ lsn, payload }) => [lsn, Buffer.from(payload).toString()] as const);
      for (const [lsn, payload] of found) expect(payload).toBe(model.records[lsn - model.firstLsn]?.payload);
      expect(reader.lastLsn).toBeGreaterThanOrEqual(model.durableLsn);
      expect(reader.firstLsn).toBe(model.firstLsn);
      reader.closeSync();
    }),
  ),
  fc.constant(
    step('close', (model, real) => {
      real.wal.closeSync();
      model.durableLsn = nextLsnOf(model) - 1;
      open(real);
      afterCrash(real, model);
      expect(real.wal.recovery.cleanlyClosed).toBe(true);
    }),
  ),
  fc.constant(
    step('kill', (model, real) => {
      real.disk.kill();
      open(real);
      afterCrash(real, model);
    }),
  ),
  fc.oneof(fc.constantFrom('all' as const, 'none' as const), fc.nat(1000)).map((survivors) =>
    step(`power cut ${survivors}`, (model, real) => {
      real.disk = real.disk.crash(typeof survivors === 'number' ? `random:${survivors}` : survivors);
      open(real);
      afterCrash(real, model);
    }),
  ),
];

const kinds = fc.record({
  io: fc.constantFrom<SimulatedIoOptions>(
    { maxPending: 256 },
    { maxPending: 256, durableWrites: true },
    { maxPending: 256, completesInline: false, overlappedWrites: true, durableWrites: true, directAlignment: 512 },
  ),
  config: fc.record({
    segmentBytes: fc.constantFrom(2048, 8192),
    recycleSegments: fc.constantFrom(0, 2),
    preallocate: fc.constantFrom('none' as const, 'write' as const),
    keyRing: fc.constantFrom(undefined, RING),
    recoveryMode: fc.constantFrom('strict' as const, 'salvage' as const),
    retainBytes: fc.constantFrom(undefined, 0, 6000),
  }),
});

test('any calls in any order, over power cuts and kills, leave what the model says', () => {
  fc.assert(
    fc.property(kinds, fc.commands(steps, { maxCommands: 40, size: '+1' }), ({ io, config }, commands) => {
      fc.modelRun(() => {
        const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
        const real: Real = {
          disk: new SimulatedDisk(),
          // Replaced at once.
          wal: undefined as unknown as SegmentedWal,
          world: new TestWorld(),
          io,
          config: given,
          appended: 0,
        };
        open(real);
        const model: Model = {
          firstLsn: 1,
          records: [],
          durableLsn: 0,
          checkpointLsn: 0,
          holds: new Map(),
          neededLsn: 1,
        };
        return { model, real };
      }, commands);
    }),
    { numRuns: 300 },
  );
});
