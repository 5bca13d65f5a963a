import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { encodeCheckpoint, RecordFlag, WalError } from '@walstack/codec';
import { type ReplayDirectoryOptions, type ReplayProgress, replayDirectory } from '@walstack/mmap-reader';
import { createMemoryStorageIo, createSyncFsStorageIo, createThreadPoolStorageIo } from '@walstack/storage-io';
import { describe, expect, it, vi } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { abortedInTurn, looksDuring, turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { makeChain, makeSegment, plain, textOf, writeSegments } from './support/segments.js';

const COUNTS = [40, 1, 300, 25, 10];
const TOTAL = 376;

const lsns = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** A log of five segments. */
function logWith(counts: readonly number[] = COUNTS) {
  const directory = temporaryDirectory();
  const chain = makeChain(counts);
  const paths = writeSegments(directory, chain);
  return { directory, chain, paths };
}

/** The LSNs that a replay gives, whose payloads are looked at as well. */
function lsnsOf(directory: string, options?: ReplayDirectoryOptions): number[] {
  const found: number[] = [];
  for (const { lsn, type, payload } of replayDirectory(directory, options)) {
    expect([type, text(payload)]).toEqual([lsn % 5, textOf(lsn)]);
    found.push(lsn);
  }
  return found;
}

async function failureOf(work: () => unknown): Promise<WalError> {
  try {
    await work();
  } catch (error) {
    if (WalError.is(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('replayDirectory', () => {
  it('returns every record of the chain in order, repeatedly', () => {
    const { directory } = logWith();
    expect(lsnsOf(directory)).toEqual(lsns(1, TOTAL));
    const replay = replayDirectory(directory);
    expect([...replay].length).toBe(TOTAL);
    expect([...replay].length).toBe(TOTAL);
  });

  it('from and to select a range, also across segments and within one', () => {
    const { directory } = logWith();
    for (const [from, to] of [
      [1, 1],
      [40, 41],
      [41, 41],
      [42, 42],
      [39, 345],
      [341, 376],
      [376, 376],
      [100, 300],
    ] as const) {
      expect(lsnsOf(directory, { from, to })).toEqual(lsns(from, to));
    }
    expect(lsnsOf(directory, { from: 300 })).toEqual(lsns(300, TOTAL));
    expect(lsnsOf(directory, { to: 45 })).toEqual(lsns(1, 45));
    expect(lsnsOf(directory, { from: TOTAL + 1 })).toEqual([]);
    expect(lsnsOf(directory, { from: 50, to: 49 })).toEqual([]);
    expect(lsnsOf(directory, { from: 9000 })).toEqual([]);
  });

  it('types leaves out all other records', () => {
    const { directory } = logWith();
    const wanted = lsns(1, TOTAL).filter((lsn) => lsn % 5 === 2 || lsn % 5 === 4);
    expect(lsnsOf(directory, { types: [2, 4] })).toEqual(wanted);
    expect(lsnsOf(directory, { types: new Set([7]) })).toEqual([]);
    const cursor = replayDirectory(directory, { types: [2, 4], from: 100 }).cursor();
    const found: number[] = [];
    while (cursor.next()) found.push(cursor.lsn);
    expect(found).toEqual(wanted.filter((lsn) => lsn >= 100));
  });

  it('is iterable synchronously and asynchronously, by forEach, by scan and by a cursor, with the same records', async () => {
    const { directory } = logWith();
    const replay = replayDirectory(directory, { from: 3, to: 370 });
    const ways: number[][] = [[], [], [], []];
    for await (const { lsn } of replay) ways[0]?.push(lsn);
    expect(await replay.forEach(async ({ lsn }) => void ways[1]?.push(lsn))).toBe(368);
    expect(await replay.scan((cursor) => void ways[2]?.push(cursor.lsn))).toBe(368);
    const cursor = replay.cursor();
    while (cursor.next()) ways[3]?.push(cursor.lsn);
    expect(cursor.stopReason).toBe('end');
    for (const way of ways) expect(way).toEqual(lsns(3, 370));
  });

  it('copies by default', () => {
    const { directory } = logWith();
    const copied = [...replayDirectory(directory)].map(({ payload }) => text(payload));
    expect(copied).toEqual(lsns(1, TOTAL).map(textOf));
    const lent = [...replayDirectory(directory, { copy: false, to: 30 })];
    expect(lent[0]?.payload.buffer).toBe(lent[1]?.payload.buffer);
  });

  it('ends when the iteration is left, and its files can be removed', async () => {
    const { directory } = logWith();
    for (const { lsn } of replayDirectory(directory)) if (lsn === 50) break;
    for await (const { lsn } of replayDirectory(directory)) if (lsn === 50) break;
    const thrown = new Error('enough');
    const failing = replayDirectory(directory, { workers: 2 }).forEach(({ lsn }) => {
      if (lsn === 50) throw thrown;
    });
    await expect(failing).rejects.toBe(thrown);
    const cursor = replayDirectory(directory).cursor();
    cursor.next();
    cursor.close();
    expect(cursor.next()).toBe(false);
    expect(cursor.payload.length).toBe(0);
  });

  it('workers scan ahead, and the order stays', async () => {
    const { directory } = logWith([40, 1, 300, 25, 120, 3, 10]);
    const total = 499;
    for (const workers of [1, 2, 5]) {
      const found: number[] = [];
      for await (const { lsn, payload } of replayDirectory(directory, { workers })) {
        expect(text(payload)).toBe(textOf(lsn));
        found.push(lsn);
      }
      expect(found).toEqual(lsns(1, total));
      const views: string[] = [];
      expect(
        await replayDirectory(directory, { workers, from: 33, to: 470 }).scan(
          ({ payload }) => void views.push(text(payload)),
        ),
      ).toBe(438);
      expect(views).toEqual(lsns(33, 470).map(textOf));
    }
  });

  it('workers read frames of every size', async () => {
    const sizes = [1, 70_000, 1_048_576 * 3, 10, 17 * 1_048_576, 3, 1_000_000];
    const directory = temporaryDirectory();
    const big = makeSegment({
      records: sizes.map((size, index) => ({ payload: String.fromCharCode(97 + index).repeat(size) })),
      blockBytes: 4096,
    });
    const next = makeSegment({
      number: 2,
      firstLsn: sizes.length + 1,
      records: [plain(8)],
      predecessor: { number: 1, id: big.header.segmentId },
    });
    writeSegments(directory, [big, next]);
    const found: number[] = [];
    await replayDirectory(directory, { workers: 1, copy: false }).forEach(({ payload }) => {
      found.push(payload.length);
    });
    expect(found.slice(0, -1)).toEqual(sizes);
  });

  it('a signal ends it, with its reason as the cause', async () => {
    const { directory } = logWith();
    const reason = new Error('not now');
    const aborted = { code: 'WAL_ABORTED', cause: reason };
    const signal = AbortSignal.abort(reason);
    expect(await failureOf(() => [...replayDirectory(directory, { signal })])).toMatchObject(aborted);
    expect(await failureOf(() => replayDirectory(directory, { signal }).scan(() => {}))).toMatchObject(aborted);
    const controller = new AbortController();
    const seen: number[] = [];
    const running = replayDirectory(directory, { signal: controller.signal }).forEach(({ lsn }) => {
      seen.push(lsn);
      if (lsn === 42) controller.abort(reason);
    });
    expect(await failureOf(() => running)).toMatchObject(aborted);
    expect(seen.length).toBe(42);
  });

  it.each([0, 2])('gives the event loop its turn in every asynchronous form, with %i workers', async (workers) => {
    const { directory } = logWith();
    const forms: (() => Promise<unknown>)[] = [
      () => replayDirectory(directory, { workers }).forEach(() => {}),
      () => replayDirectory(directory, { workers }).scan(() => {}),
      async () => {
        for await (const _record of replayDirectory(directory, { workers }));
      },
    ];
    for (const read of forms) {
      const { looks, most } = await looksDuring(read);
      expect(looks).toBeGreaterThan(TOTAL);
      expect(most).toBeLessThan(10);
      turnsByLooks(5);
      const ended = replayDirectory(directory, { workers, signal: abortedInTurn(10) }).scan(() => {});
      expect(await failureOf(() => ended)).toMatchObject({ code: 'WAL_ABORTED' });
    }
  });

  it('what onProgress throws ends it', async () => {
    const { directory } = logWith();
    const failure = new Error('of the application');
    const onProgress = (): never => {
      throw failure;
    };
    turnsByLooks(5);
    expect(() => [...replayDirectory(directory, { onProgress })]).toThrow(failure);
    await expect(replayDirectory(directory, { onProgress }).forEach(() => {})).rejects.toBe(failure);
    await expect(replayDirectory(directory, { onProgress }).scan(() => {})).rejects.toBe(failure);
    // Also at the end, where nothing was due before.
    turnsByLooks(0);
    await expect(replayDirectory(directory, { onProgress }).forEach(() => {})).rejects.toBe(failure);
  });

  it('onProgress is called with the progress, up to the end', () => {
    const { directory, chain } = logWith();
    turnsByLooks(5);
    const told: ReplayProgress[] = [];
    const totalBytes = chain.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(lsnsOf(directory, { onProgress: (progress) => told.push(progress) }).length).toBe(TOTAL);
    const end = { phase: 'read', records: TOTAL, lsn: TOTAL, segments: 5, totalSegments: 5 };
    expect(told.at(-1)).toEqual({ ...end, bytes: totalBytes, totalBytes });
    expect(told.length).toBeGreaterThan(4);
    for (const [index, each] of told.entries()) {
      const before = told[index - 1] ?? { lsn: 0, bytes: 0, segments: 0 };
      expect(each.lsn).toBeGreaterThanOrEqual(before.lsn);
      expect(each.bytes).toBeGreaterThanOrEqual(before.bytes);
      expect(each.segments).toBeGreaterThanOrEqual(before.segments);
    }
  });

  it('begins at the requested record, also where workers cannot read the file', async () => {
    const { directory } = logWith();
    const post = Worker.prototype.postMessage;
    const spy = vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker, job) {
      post.call(this, { ...job, path: `${job.path}.gone` });
    });
    try {
      for (const from of [1, 2, 40, 41, 100, 341, 342, 366, 367]) {
        const found: number[] = [];
        const scanned: number[] = [];
        const replay = replayDirectory(directory, { from, workers: 2 });
        await replay.forEach(({ lsn }) => void found.push(lsn));
        await replay.scan(({ lsn }) => void scanned.push(lsn));
        expect(found).toEqual(lsns(from, TOTAL));
        expect(scanned).toEqual(lsns(from, TOTAL));
      }
      expect(spy).toHaveBeenCalled();
    } finally {
      spy.mockRestore();
    }
  });

  it('leaves out what a successor hides, a torn tail and a batch without its end', () => {
    const directory = temporaryDirectory();
    const first = makeSegment({ records: lsns(1, 20).map(plain) });
    const second = makeSegment({
      number: 2,
      firstLsn: 15,
      predecessor: { number: 1, id: first.header.segmentId },
      records: [
        ...lsns(15, 20).map(plain),
        ...[21, 22].map((lsn) => ({ ...plain(lsn), flags: RecordFlag.batchContinues, durableLsn: 20 })),
      ],
      tail: new TextEncoder().encode('torn'),
    });
    writeSegments(directory, [first, second]);
    expect(lsnsOf(directory)).toEqual(lsns(1, 20));
  });

  it('reports that the rest of a batch is missing, when one of its own frames proves that it was durable', async () => {
    const { directory, chain } = logWith([20]);
    const second = makeSegment({
      number: 2,
      firstLsn: 21,
      predecessor: { number: 1, id: (chain[0] as (typeof chain)[number]).header.segmentId },
      records: [21, 22].map((lsn) => ({ ...plain(lsn), flags: RecordFlag.batchContinues, durableLsn: lsn - 1 })),
      tail: new TextEncoder().encode('torn'),
    });
    writeSegments(directory, [second]);
    expect(await failureOf(() => lsnsOf(directory))).toMatchObject({ code: 'WAL_CORRUPT', reason: 'hole', lsn: 23 });
  });

  it.each([0, 2])('reports what is missing, damaged or removed, with %d workers', async (workers) => {
    const replayOf = (directory: string, options: ReplayDirectoryOptions = {}) =>
      replayDirectory(directory, { ...options, workers }).forEach(() => {});
    const damaged = logWith();
    const bad = damaged.chain[2] as (typeof damaged.chain)[number];
    const at = bad.offsets[100] as number;
    bad.bytes[at + 40] = (bad.bytes[at + 40] as number) ^ 1;
    writeFileSync(damaged.paths[2] as string, bad.bytes);
    expect(await failureOf(() => replayOf(damaged.directory))).toMatchObject({
      code: 'WAL_CORRUPT',
      path: damaged.paths[2],
      lsn: 142,
      offset: at,
      reason: 'hole-before-successor',
    });
    expect(await replayOf(damaged.directory, { from: 342 })).toBe(35);

    const missing = logWith();
    rmSync(missing.paths[2] as string);
    expect(await failureOf(() => replayOf(missing.directory))).toMatchObject({
      code: 'WAL_CORRUPT',
      reason: 'missing-segment',
    });

    const truncated = logWith();
    rmSync(truncated.paths[0] as string);
    const { header } = truncated.chain[1] as (typeof truncated.chain)[number];
    const checkpoint = { logId: header.logId, firstSegment: 2, checkpointLsn: 0, holds: {} };
    writeFileSync(join(truncated.directory, 'checkpoint'), encodeCheckpoint(checkpoint));
    expect(await failureOf(() => replayOf(truncated.directory, { from: 3 }))).toMatchObject({
      code: 'WAL_TRUNCATED',
      lsn: 3,
      firstLsn: 41,
    });
    expect(await replayOf(truncated.directory)).toBe(TOTAL - 40);

    expect(await failureOf(() => replayOf(temporaryDirectory()))).toMatchObject({ code: 'WAL_NOT_FOUND' });
    expect(await failureOf(() => replayOf(join(temporaryDirectory(), 'nothing')))).toMatchObject({
      code: 'WAL_NOT_FOUND',
    });
  });

  it('reports that something acknowledged is missing from the newest segment, when a later frame proves it', async () => {
    const { directory, chain, paths } = logWith([5, 20]);
    const newest = chain[1] as (typeof chain)[number];
    const at = newest.offsets[8] as number;
    newest.bytes[at + 40] = (newest.bytes[at + 40] as number) ^ 1;
    writeFileSync(paths[1] as string, newest.bytes);
    const failure = await failureOf(() => lsnsOf(directory));
    expect(failure).toMatchObject({ code: 'WAL_CORRUPT', lsn: 14, offset: at, reason: 'hole' });
    expect(lsnsOf(directory, { to: 13 })).toEqual(lsns(1, 13));
    // Where nothing stands behind it, it is a torn tail, unless the checkpoint knows better.
    writeFileSync(paths[1] as string, newest.bytes.slice(0, at + 9));
    expect(lsnsOf(directory)).toEqual(lsns(1, 13));
    const checkpoint = { logId: newest.header.logId, firstSegment: 1, checkpointLsn: 14, holds: {} };
    writeFileSync(join(directory, 'checkpoint'), encodeCheckpoint(checkpoint));
    expect(await failureOf(() => lsnsOf(directory))).toMatchObject({
      code: 'WAL_CORRUPT',
      reason: 'hole-before-checkpoint',
    });
  });

  it('throws WAL_TRUNCATED when a segment is removed while it is read', async () => {
    const { directory, chain, paths } = logWith();
    const { header } = chain[4] as (typeof chain)[number];
    const replay = replayDirectory(directory)[Symbol.iterator]();
    expect(replay.next().value?.lsn).toBe(1);
    const checkpoint = { logId: header.logId, firstSegment: 5, checkpointLsn: 0, holds: {} };
    writeFileSync(join(directory, 'checkpoint'), encodeCheckpoint(checkpoint));
    for (const path of paths.slice(0, 4)) rmSync(path);
    const failure = await failureOf(() => {
      while (replay.next().done !== true);
    });
    expect(failure).toMatchObject({ code: 'WAL_TRUNCATED', lsn: 41, firstLsn: 367 });
  });

  it('reads other backends, by plain reads', async () => {
    const { directory } = logWith();
    for (const create of [createSyncFsStorageIo, createThreadPoolStorageIo]) {
      const io = create();
      const found: number[] = [];
      for await (const { lsn } of replayDirectory(directory, { io })) found.push(lsn);
      expect(found).toEqual(lsns(1, TOTAL));
      await io.dispose();
    }
    const memory = createMemoryStorageIo();
    expect(await failureOf(() => replayDirectory('/log', { io: memory }).forEach(() => {}))).toMatchObject({
      code: 'WAL_NOT_FOUND',
    });
    expect(await failureOf(() => replayDirectory('/log', { io: memory, workers: 1 }).forEach(() => {}))).toMatchObject({
      code: 'WAL_UNSUPPORTED',
    });
  });

  it('a cursor that has failed does not report the end', () => {
    const { directory } = logWith();
    const io = createSyncFsStorageIo();
    const failure = new WalError('WAL_IO_FAILED', 'too many open files', { operation: 'open', systemCode: 'EMFILE' });
    let opens = 0;
    const failing = new Proxy(io, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          // Those before read headers; those behind would do.
          if (name === 'open' && ++opens === COUNTS.length + 1) throw failure;
          return value.apply(target, args) as unknown;
        };
      },
    });
    using cursor = replayDirectory(directory, { io: failing }).cursor();
    const toTheEnd = (): void => {
      while (cursor.next());
    };
    expect(toTheEnd).toThrow(failure);
    expect(toTheEnd).toThrow(failure);
    expect(cursor.stopReason).toBeUndefined();
  });

  it('refuses wrong arguments, and workers with blocking calls', async () => {
    const { directory } = logWith();
    const wrong: [object, string][] = [
      [{ from: 0 }, 'ERR_OUT_OF_RANGE'],
      [{ to: 0 }, 'ERR_OUT_OF_RANGE'],
      [{ to: 1.5 }, 'ERR_OUT_OF_RANGE'],
      [{ workers: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ workers: 33 }, 'ERR_OUT_OF_RANGE'],
      [{ types: [-1] }, 'ERR_OUT_OF_RANGE'],
      [{ types: 3 }, 'ERR_INVALID_ARG_TYPE'],
      [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
      [{ onProgress: 1 }, 'ERR_INVALID_ARG_TYPE'],
      [{ copy: 1 }, 'ERR_INVALID_ARG_TYPE'],
      [{ io: {} }, 'ERR_INVALID_ARG_TYPE'],
      [{ keyRing: {} }, 'ERR_INVALID_ARG_TYPE'],
      [{ form: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ];
    for (const [options, code] of wrong) {
      expect(() => replayDirectory(directory, options as ReplayDirectoryOptions)).toThrow(
        expect.objectContaining({ code }),
      );
    }
    expect(() => replayDirectory(7 as unknown as string)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    const helped = replayDirectory(directory, { workers: 1 });
    expect(await failureOf(() => [...helped])).toMatchObject({ code: 'WAL_UNSUPPORTED' });
    expect(await failureOf(() => helped.cursor())).toMatchObject({ code: 'WAL_UNSUPPORTED' });
  });
});
