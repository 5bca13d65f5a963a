import { channel } from 'node:diagnostics_channel';
import { KeyRing } from '@walstack/codec';
import { Batch, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { SimulatedDisk, type SimulatedIoOptions } from '@walstack/storage-io/simulation';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';

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
  /** The last LSN that was flushed, and is there after a kill. */
  flushedLsn: number;
  checkpointLsn: number;
  holds: Map<string, number>;
  /** Nothing from here on may have been dropped. */
  neededLsn: number;
}

interface Real {
  disk: SimulatedDisk;
  wal: SegmentedWal;
  readonly world: TestEnvironment;
  readonly io: SimulatedIoOptions;
  readonly config: Partial<SegmentedWalConfig>;
  appended: number;
  /** Syncs that were started and have not reported their results yet. */
  started: number;
  /** Calls under way that cut the log off. */
  cutting: number;
  isClosed: boolean;
  /** What is done when the log rolls or is cut off next. */
  readonly listeners: Map<string, () => void>;
  /** What went wrong in a function that the log called. */
  readonly thrown: unknown[];
}

const RING = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(1) }, [{ id: 2, key: new Uint8Array(32).fill(2) }]);

const nextLsnOf = (model: Model): number => model.firstLsn + model.records.length;

function open(real: Real): void {
  real.started = 0;
  real.isClosed = false;
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
  model.flushedLsn = wal.lastLsn;
  expect(wal.recovery).toMatchObject({ mode: config.recoveryMode ?? 'strict', salvage: undefined });
}

/** A record as it is compared. */
const textOf = ({ lsn, payload }: { readonly lsn: number; readonly payload: Uint8Array }): string =>
  `${lsn}: ${Buffer.from(payload).toString()}`;

/** The records of the model from an LSN on. */
const textsFrom = ({ records, firstLsn }: Model, lsn: number): string[] =>
  records.map(({ payload }, index) => `${firstLsn + index}: ${payload}`).slice(lsn - firstLsn);

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
  expect(Array.from(wal.replay(), textOf)).toEqual(textsFrom(model, wal.firstLsn));
  const segments = wal.listSegments();
  expect(segments[0]?.firstLsn ?? nextLsn).toBe(wal.firstLsn);
  expect(wal.totalSizeBytes()).toBe(segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
}

type Step = fc.Command<Model, Real>;

const stepOf = (name: string, run: (model: Model, real: Real) => void): Step => ({
  check: () => true,
  run,
  toString: () => name,
});

/** A step that is always possible. Syncs that were started before have ended. */
const step = (name: string, run: (model: Model, real: Real) => void): Step =>
  stepOf(name, (model, real) => {
    settle(model, real);
    unheard(real, () => {
      run(model, real);
      compare(real, model);
    });
  });

/** Does something during which nothing acts on what it hears. */
function unheard(real: Real, act: () => void): void {
  const listeners = [...real.listeners];
  real.listeners.clear();
  act();
  for (const [name, listener] of listeners) real.listeners.set(name, listener);
}

/** One call that drives syncs along that were started before: the functions that they call may act in the middle of it. */
const driving = (name: string, run: (model: Model, real: Real) => void): Step =>
  stepOf(name, (model, real) => {
    run(model, real);
    settle(model, real);
    unheard(real, () => compare(real, model));
  });

/** Has everything told that was started, and opens the log again when it was closed by one that was told. */
function settle(model: Model, real: Real): void {
  while (real.started > 0 && !real.isClosed) sync(model, real);
  for (const thrown of real.thrown.splice(0)) throw thrown;
  if (!real.isClosed) return;
  real.listeners.clear();
  open(real);
  afterCrash(real, model);
  expect(real.wal.recovery.cleanlyClosed).toBe(true);
}

/** What the application does when the log calls it. */
type Action = (model: Model, real: Real) => void;

/** The action as a function that the log calls: what it throws is not the log's. */
const called = (model: Model, real: Real, action: Action) => {
  const { wal } = real;
  return (): void => {
    if (wal !== real.wal) return;
    try {
      action(model, real);
    } catch (error) {
      real.thrown.push(error);
    }
  };
};

function sync(model: Model, { wal }: Real): void {
  model.durableLsn = nextLsnOf(model) - 1;
  wal.syncSync();
}

function close(model: Model, real: Real): void {
  real.isClosed = true;
  model.durableLsn = nextLsnOf(model) - 1;
  real.wal.closeSync();
}

// What a call does is in the model before it: what is called meanwhile comes behind it.
function cutting(real: Real, cut: () => void): void {
  real.cutting++;
  try {
    cut();
  } finally {
    real.cutting--;
  }
}

function truncateAfter(model: Model, real: Real, where: number): void {
  const { wal } = real;
  // Which LSNs there will be when its turn comes, the log does not know yet.
  if (real.cutting > 0) return;
  const lsn = at(wal.firstLsn - 1, wal.lastLsn, where);
  if (lsn < wal.lastLsn) dropAfter(model, lsn);
  model.durableLsn = lsn;
  cutting(real, () => wal.truncateAfterSync(lsn));
}

function resetTo(model: Model, real: Real, away: number): void {
  const { wal } = real;
  const lsn = Math.max(1, nextLsnOf(model) + away);
  if (model.records.length > 0 || lsn !== model.firstLsn) lower(model, lsn - 1);
  model.firstLsn = lsn;
  model.records = [];
  model.neededLsn = lsn;
  for (const hold of model.holds.keys()) model.holds.set(hold, lsn);
  cutting(real, () => wal.resetToSync(lsn));
}

const refusedWith = (code: string) => expect.objectContaining({ code });

/** What the log refuses while it is closed, or being cut off, is refused. */
const unless =
  (refusal: (real: Real) => string | undefined, action: Action, call: (wal: SegmentedWal) => void): Action =>
  (model, real) => {
    const code = refusal(real);
    if (code === undefined) action(model, real);
    else expect(() => call(real.wal)).toThrow(refusedWith(code));
  };

const closed = ({ isClosed }: Real): string | undefined => (isClosed ? 'WAL_CLOSED' : undefined);
const closedOrCutting = (real: Real): string | undefined =>
  closed(real) ?? (real.cutting > 0 ? 'WAL_STATE' : undefined);

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
  model.flushedLsn = Math.min(model.flushedLsn, lastLsn);
  model.checkpointLsn = Math.min(model.checkpointLsn, lastLsn);
  model.neededLsn = Math.min(model.neededLsn, lastLsn + 1);
  // None needs what was never there, or is gone.
  for (const [name, lsn] of model.holds) model.holds.set(name, Math.max(model.firstLsn, Math.min(lsn, lastLsn)));
}

const part = fc.double({ min: 0, max: 1, noNaN: true });
const size = fc.oneof(fc.nat(60), fc.integer({ min: 440, max: 490 }), fc.nat(2500));
const name = fc.constantFrom('a', 'b', '__proto__');

/** What is done in functions that the log calls, with a name for each. */
const actions: fc.Arbitrary<readonly [string, Action]> = fc.oneof(
  size.map((bytes): [string, Action] => [
    `append ${bytes}`,
    unless(
      closedOrCutting,
      (model, real) => append(model, real, [bytes]),
      (wal) => wal.append('late'),
    ),
  ]),
  fc.constant<[string, Action]>(['sync', unless(closed, sync, (wal) => wal.syncSync())]),
  part.map((where): [string, Action] => [
    `truncateAfter ${where}`,
    unless(
      closed,
      (model, real) => truncateAfter(model, real, where),
      (wal) => wal.truncateAfterSync(wal.lastLsn),
    ),
  ]),
  fc.integer({ min: -5, max: 5 }).map((away): [string, Action] => [
    `resetTo ${away}`,
    unless(
      closed,
      (model, real) => resetTo(model, real, away),
      (wal) => wal.resetToSync(1),
    ),
  ]),
  fc.constant<[string, Action]>(['close', unless(closed, close, (wal) => wal.syncSync())]),
);

const steps: fc.Arbitrary<Step>[] = [
  size.map((bytes) => driving(`append ${bytes}`, (model, real) => append(model, real, [bytes]))),
  size.map((bytes) => stepOf(`append ${bytes} and go on`, (model, real) => append(model, real, [bytes]))),
  fc
    .array(size, { minLength: 2, maxLength: 5 })
    .map((sizes) => step(`batch ${sizes}`, (model, real) => append(model, real, sizes))),
  actions.map(([what, action]) =>
    stepOf(`start a sync, then ${what}`, (model, real) => {
      const { wal } = real;
      if (real.isClosed) return;
      real.started++;
      const act = called(model, real, action);
      wal.startSync(() => {
        if (wal === real.wal) real.started--;
        act();
      });
      if (real.isClosed) settle(model, real);
    }),
  ),
  fc.tuple(fc.constantFrom('walstack:roll', 'walstack:truncate'), actions).map(([on, [what, action]]) =>
    stepOf(`on ${on} ${what}`, (model, real) => {
      real.listeners.set(on, called(model, real, action));
    }),
  ),
  fc.constant(driving('sync', sync)),
  fc.constant(
    step('flush', (model, { wal }) => {
      wal.flushSync();
      model.flushedLsn = wal.lastLsn;
    }),
  ),
  // The functions that it calls may append, or cut the log.
  fc.constant(driving('flush beside syncs', (_model, { wal }) => wal.flushSync())),
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
  part.map((where) => driving(`truncateAfter ${where}`, (model, real) => truncateAfter(model, real, where))),
  fc
    .integer({ min: -5, max: 5 })
    .map((away) => driving(`resetTo ${away}`, (model, real) => resetTo(model, real, away))),
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
      const expected = textsFrom(model, lsn);
      const { records, more } = wal.replayFromLimitSync(lsn, limit);
      expect(records.map(textOf)).toEqual(expected.slice(0, limit));
      expect(more).toBe(expected.length > limit);
      const record = wal.readSync(lsn);
      expect(record === undefined ? [] : [textOf(record)]).toEqual(expected.slice(0, 1));
      expect(Array.from(wal.replayFrom(lsn), textOf)).toEqual(expected);
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
      expect(Array.from(reader.replay(), textOf)).toEqual(
        textsFrom(model, reader.firstLsn).slice(0, reader.nextLsn - reader.firstLsn),
      );
      expect(reader.lastLsn).toBeGreaterThanOrEqual(model.durableLsn);
      expect(reader.firstLsn).toBe(model.firstLsn);
      reader.closeSync();
    }),
  ),
  fc.constant(driving('close', close)),
  fc.constant(
    driving('kill', (model, real) => {
      real.listeners.clear();
      real.disk.kill();
      open(real);
      expect(real.wal.lastLsn).toBeGreaterThanOrEqual(model.flushedLsn);
      afterCrash(real, model);
    }),
  ),
  fc.oneof(fc.constantFrom('all' as const, 'none' as const), fc.nat(1000)).map((survivors) =>
    driving(`power cut ${survivors}`, (model, real) => {
      real.listeners.clear();
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

/** The log that the listeners act on. */
let present: Real | undefined;

for (const name of ['walstack:roll', 'walstack:truncate']) {
  channel(name).subscribe(() => {
    const act = present?.listeners.get(name);
    present?.listeners.delete(name);
    act?.();
  });
}

test('any calls in any order, over power cuts and kills, leave what the model says', () => {
  fc.assert(
    fc.property(kinds, fc.commands(steps, { maxCommands: 40, size: '+1' }), ({ io, config }, commands) => {
      fc.modelRun(() => {
        const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
        const real: Real = {
          disk: new SimulatedDisk(),
          // Replaced at once.
          wal: undefined as unknown as SegmentedWal,
          world: new TestEnvironment(),
          io,
          config: given,
          appended: 0,
          started: 0,
          cutting: 0,
          isClosed: false,
          listeners: new Map(),
          thrown: [],
        };
        present = real;
        open(real);
        const model: Model = {
          firstLsn: 1,
          records: [],
          durableLsn: 0,
          flushedLsn: 0,
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
