import { WalError } from '@walstack/codec';
import {
  CompletionBuffer,
  CompletionRouter,
  createMemoryStorageIo,
  drive,
  fromAsyncFileOps,
  type IoFile,
  type IoRoutine,
  ioSteps,
  runAsync,
  runSync,
  type StorageIo,
} from '@walstack/storage-io';
import { QUEUE_SPACE, RoutineQueue, requireWait, waitForProgress } from '@walstack/storage-io/internal';
import { describe, expect, it } from 'vitest';
import { turn } from './polling.js';
import { ByHand, inATurn, TinyFiles, tinyAsyncOps, tinySync } from './tiny-ops.js';
import { gatheringUncaught } from './uncaught.js';

const asyncIo = (files = new TinyFiles()): StorageIo => fromAsyncFileOps(tinyAsyncOps(files, inATurn));

/** Every step there is, and what came of it. */
function* everyStep(io: StorageIo, directory: string): IoRoutine<unknown[]> {
  const path = `${directory}/file`;
  const file = io.open(path, { create: true });
  yield* ioSteps.write(io, file, Buffer.from('hello, world'), 0);
  yield* ioSteps.datasync(io, file);
  yield* ioSteps.truncate(io, file, 5);
  yield* ioSteps.allocate(io, file, 0, 8);
  const into = Buffer.alloc(20);
  const count = yield* ioSteps.read(io, file, into, 0);
  io.close(file);
  yield* ioSteps.syncDirectory(io, directory);
  const before = io.list(directory);
  yield* ioSteps.remove(io, path);
  return [count, into.toString('utf8', 0, count), before, io.list(directory)];
}

/** A routine with steps that fail. */
function* failing(io: StorageIo): IoRoutine<string[]> {
  const seen: string[] = [];
  try {
    yield* ioSteps.remove(io, 'd/missing');
  } catch (error) {
    seen.push((error as WalError).code);
  }
  try {
    yield* ioSteps.syncDirectory(io, 'missing');
  } finally {
    seen.push('finally');
    yield* ioSteps.syncDirectory(io, 'd');
    seen.push('cleaned up');
    results.push(seen);
  }
  return seen;
}
const results: string[][] = [];

describe('a routine', () => {
  it('has the same result however it is driven', async () => {
    const expected = [8, 'hello\0\0\0', ['file'], []];
    const sync = tinySync(new TinyFiles());
    expect(runSync(sync, everyStep(sync, 'd'))).toEqual(expected);
    const turnedAsync = tinySync(new TinyFiles());
    expect(await runAsync(turnedAsync, everyStep(turnedAsync, 'd'))).toEqual(expected);
    const calledBack = asyncIo();
    expect(await runAsync(calledBack, everyStep(calledBack, 'd'))).toEqual(expected);
    const memory = createMemoryStorageIo();
    memory.makeDirectory('d');
    expect(runSync(memory, everyStep(memory, 'd'))).toEqual(expected);
  });

  it('throws to its driver, after its own clean-up', async () => {
    for (const drive of [
      async () => {
        const io = tinySync(new TinyFiles());
        return runSync(io, failing(io));
      },
      () => {
        const io = asyncIo();
        return runAsync(io, failing(io));
      },
    ]) {
      results.length = 0;
      await expect(drive()).rejects.toMatchObject({ code: 'WAL_NOT_FOUND', path: 'missing' });
      expect(results).toEqual([['WAL_NOT_FOUND', 'finally', 'cleaned up']]);
    }
  });

  it('may throw before its first step, and end without any', async () => {
    const io = asyncIo();
    // biome-ignore lint/correctness/useYield: it is the point that there is none
    const throwing = function* (): IoRoutine<never> {
      throw new Error('at once');
    };
    // biome-ignore lint/correctness/useYield: it is the point that there is none
    const ending = function* (): IoRoutine<number> {
      return 5;
    };
    await expect(runAsync(io, throwing())).rejects.toThrow('at once');
    expect(await runAsync(io, ending())).toBe(5);
    const sync = tinySync(new TinyFiles());
    expect(() => runSync(sync, throwing())).toThrow('at once');
    expect(runSync(sync, ending())).toBe(5);
  });

  it('is not begun by runSync on a backend that cannot wait', () => {
    const io = asyncIo();
    let begun = false;
    const routine = function* (): IoRoutine<void> {
      begun = true;
      yield* ioSteps.syncDirectory(io, 'd');
    };
    expect(() => runSync(io, routine())).toThrow(
      expect.objectContaining({ code: 'WAL_UNSUPPORTED', message: expect.stringContaining(io.name) }),
    );
    expect(begun).toBe(false);
    expect(io.stats().submitted).toBe(0);
    expect(() => requireWait(io)).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED' }));
    requireWait(tinySync(new TinyFiles()));
  });

  it('that waits for nothing is a defect, not a hang', () => {
    const io = tinySync(new TinyFiles());
    const routine = function* (): IoRoutine<void> {
      yield QUEUE_SPACE;
    };
    expect(() => runSync(io, routine())).toThrow(expect.objectContaining({ code: 'WAL_STATE' }));
    expect(() => waitForProgress(CompletionRouter.for(io))).toThrow(expect.objectContaining({ code: 'WAL_STATE' }));
  });

  it('that waits for what another backend was given is a defect, not a hang', () => {
    const io = tinySync(new TinyFiles());
    const other = tinySync(new TinyFiles());
    expect(() => runSync(io, ioSteps.syncDirectory(other, 'd'))).toThrow(
      expect.objectContaining({ code: 'WAL_STATE' }),
    );
  });

  it('waits for space in a full queue', async () => {
    const files = new TinyFiles();
    const io = fromAsyncFileOps(tinyAsyncOps(files, inATurn), { maxPending: 3 });
    const file = io.open('d/file', { create: true });
    const writing = Array.from({ length: 20 }, (_, index) =>
      runAsync(io, ioSteps.write(io, file, Buffer.from([index]), index)),
    );
    await Promise.all(writing);
    expect(io.stats().queueFullEvents).toBeGreaterThan(0);
    expect([...Buffer.from((files.entries.get('d/file') as { bytes: Uint8Array }).bytes)]).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );
  });

  it('throws what a submission throws', async () => {
    const io = asyncIo();
    const file = io.open('d/file', { create: true });
    io.close(file);
    await expect(runAsync(io, ioSteps.write(io, file, Buffer.from('a'), 0))).rejects.toMatchObject({
      code: 'WAL_BAD_FD',
    });
    await expect(runAsync(io, ioSteps.remove(io, ''))).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  });

  it('fails when a backend writes less than all', async () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const short: StorageIo = Object.create(io, {
      submitWrite: { value: (_file: IoFile, data: Uint8Array) => io.submitWrite(file, data.subarray(1), 0) },
      capabilities: { value: io.capabilities },
      onReady: { value: io.onReady.bind(io) },
      pollCompletions: { value: io.pollCompletions.bind(io) },
      waitCompletions: { value: io.waitCompletions.bind(io) },
      name: { value: 'short' },
    });
    expect(() => runSync(short, ioSteps.write(short, file, Buffer.from('abc'), 7))).toThrow(
      expect.objectContaining({ code: 'WAL_IO_FAILED', reason: 'short-write', offset: 7 }),
    );
  });

  it('does not affect another routine when it throws', async () => {
    const io = asyncIo();
    const file = io.open('d/file', { create: true });
    const lost = runAsync(io, ioSteps.remove(io, 'd/missing'));
    const good = runAsync(io, ioSteps.write(io, file, Buffer.from('abc'), 0));
    await expect(lost).rejects.toBeInstanceOf(WalError);
    await good;
    expect(io.size(file)).toBe(3);
  });

  it('is driven by another call that blocks', () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const order: string[] = [];
    const routine = function* (name: string, steps: number): IoRoutine<void> {
      for (let step = 0; step < steps; step++) {
        yield* ioSteps.write(io, file, Buffer.from('x'), step);
        order.push(`${name}${step}`);
      }
    };
    const ends: string[] = [];
    drive(CompletionRouter.for(io), routine('background', 3), () => ends.push('background'));
    runSync(io, routine('blocking', 5));
    expect(ends).toEqual(['background']);
    expect(order).toContain('background2');
    expect(order.indexOf('background2')).toBeLessThan(order.indexOf('blocking4'));
  });

  it('may block for another one inside a step', () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const inner = function* (): IoRoutine<number> {
      yield* ioSteps.write(io, file, Buffer.from('inner'), 0);
      return io.size(file);
    };
    const outer = function* (): IoRoutine<number> {
      yield* ioSteps.datasync(io, file);
      const size = runSync(io, inner());
      yield* ioSteps.datasync(io, file);
      return size;
    };
    expect(runSync(io, outer())).toBe(5);
  });
});

describe('the router', () => {
  it('is one for each backend', () => {
    const one = tinySync(new TinyFiles());
    const two = tinySync(new TinyFiles());
    expect(CompletionRouter.for(one)).toBe(CompletionRouter.for(one));
    expect(CompletionRouter.for(one)).not.toBe(CompletionRouter.for(two));
    expect(CompletionRouter.for(one).io).toBe(one);
  });

  it('hands each completion to its owner, once', async () => {
    const files = new TinyFiles();
    const hand = new ByHand();
    const io = fromAsyncFileOps(tinyAsyncOps(files, hand.schedule));
    const router = CompletionRouter.for(io);
    const file = io.open('d/file', { create: true });
    const told: [name: string, result: number][] = [];
    const submit = (name: string, length: number): void =>
      router.expect(io.submitWrite(file, Buffer.alloc(length), 0), (result) => told.push([name, result]));
    submit('first', 1);
    submit('second', 2);
    submit('third', 3);
    expect(router.pending).toBe(3);
    hand.step(1);
    hand.step(1);
    expect(told).toEqual([
      ['second', 2],
      ['third', 3],
    ]);
    expect(router.pending).toBe(1);
    hand.step();
    expect(told).toHaveLength(3);
    expect(router.drain()).toBe(0);
  });

  it('drains more than one buffer holds, and drops completions without an owner', () => {
    const io = tinySync(new TinyFiles());
    const router = CompletionRouter.for(io);
    const file = io.open('d/file', { create: true });
    let told = 0;
    const { capacity } = new CompletionBuffer();
    for (let index = 0; index < 2 * capacity + 10; index++) {
      const token = io.submitDatasync(file);
      if (index % 2 === 0) router.expect(token, () => told++);
    }
    expect(router.drain()).toBe(2 * capacity + 10);
    expect(told).toBe(capacity + 5);
    expect(io.pending).toBe(0);
    expect(router.pending).toBe(0);
  });

  it('may be waited for by an owner that was just called', () => {
    const io = tinySync(new TinyFiles());
    const router = CompletionRouter.for(io);
    const file = io.open('d/file', { create: true });
    const order: string[] = [];
    router.expect(io.submitDatasync(file), () => {
      order.push('outer');
      router.expect(io.submitWrite(file, Buffer.from('abc'), 0), (result) => order.push(`inner ${result}`));
      // What was polled together with its own completion comes first.
      expect(router.wait()).toBe(1);
      expect(router.wait()).toBe(1);
      order.push('outer again');
    });
    router.expect(io.submitDatasync(file), () => order.push('next'));
    expect(router.wait()).toBe(2);
    expect(order).toEqual(['outer', 'next', 'inner 3', 'outer again']);
    expect(router.wait()).toBe(0);
    expect(router.pending).toBe(0);
  });

  it('lets an owner wait for what was polled together with its own completion', () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    const order: string[] = [];
    const named = function* (name: string): IoRoutine<string> {
      yield* ioSteps.datasync(io, file);
      order.push(name);
      return name;
    };
    CompletionRouter.for(io).expect(io.submitDatasync(file), () => {
      order.push(`then ${queue.runSync(() => named('second'))}`);
    });
    void queue.run(() => named('first'));
    expect(io.pending).toBe(2);
    CompletionRouter.for(io).drain();
    expect(order).toEqual(['first', 'second', 'then second']);
  });

  it('resumes what waits for queue space, once, when something was handed out', () => {
    const io = tinySync(new TinyFiles());
    const router = CompletionRouter.for(io);
    const file = io.open('d/file', { create: true });
    let told = 0;
    router.onQueueSpace(() => {
      told += 1;
    });
    expect(router.drain()).toBe(0);
    expect(told).toBe(0);
    io.submitDatasync(file);
    router.drain();
    io.submitDatasync(file);
    router.drain();
    expect(told).toBe(1);
  });

  it('calls the other owners although one throws', async () => {
    const io = tinySync(new TinyFiles());
    const router = CompletionRouter.for(io);
    const file = io.open('d/file', { create: true });
    const told: string[] = [];
    const all = await gatheringUncaught(async (uncaught) => {
      router.expect(io.submitDatasync(file), () => told.push('first'));
      router.expect(io.submitDatasync(file), () => {
        throw new Error('from an owner');
      });
      router.expect(io.submitDatasync(file), () => told.push('third'));
      expect(router.wait()).toBe(3);
      while (uncaught.length === 0) await turn();
    });
    expect(told).toEqual(['first', 'third']);
    expect(all).toMatchObject([{ message: 'from an owner' }]);
  });

  it('leaves turns to others while a routine of many steps runs', async () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    let steps = 0;
    const long = function* (): IoRoutine<void> {
      for (; steps < 1000; steps++) yield* ioSteps.datasync(io, file);
    };
    const ended = runAsync(io, long());
    const seen: number[] = [];
    while (steps < 1000) {
      await turn();
      seen.push(steps);
    }
    await ended;
    expect(seen.length).toBeGreaterThan(10);
  });

  it('resumes a routine that waits for queue space although a call blocks inside an owner', () => {
    const io = tinySync(new TinyFiles(), { maxPending: 2 });
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    const order: string[] = [];
    const named = function* (name: string): IoRoutine<string> {
      yield* ioSteps.datasync(io, file);
      order.push(name);
      return name;
    };
    const router = CompletionRouter.for(io);
    router.expect(io.submitDatasync(file), () => {
      order.push(`then ${queue.runSync(() => named('second'))}`);
    });
    io.submitDatasync(file);
    void queue.run(() => named('first'));
    expect(io.stats().queueFullEvents).toBe(1);
    router.drain();
    expect(order).toEqual(['first', 'second', 'then second']);
  });

  it('hands out on the event loop by itself', async () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    let result: number | undefined;
    CompletionRouter.for(io).expect(io.submitWrite(file, Buffer.from('abc'), 0), (given) => {
      result = given;
    });
    expect(result).toBeUndefined();
    while (result === undefined) await turn();
    expect(result).toBe(3);
  });

  it('cannot wait where the backend cannot', () => {
    expect(() => CompletionRouter.for(asyncIo()).wait()).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED' }));
  });
});

describe('a completion buffer', () => {
  it('holds 256 completions, or its given capacity', () => {
    expect(new CompletionBuffer().capacity).toBe(256);
    expect(new CompletionBuffer(3).tokens).toHaveLength(3);
    expect(new CompletionBuffer(3).results).toHaveLength(3);
    for (const capacity of [0, -1, 1.5, 65_537, Number.NaN]) {
      expect(() => new CompletionBuffer(capacity)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    }
  });
});
