import { fromAsyncFileOps, type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { RoutineQueue } from '@walstack/storage-io/internal';
import { beforeEach, describe, expect, it } from 'vitest';
import { inATurn, TinyFiles, tinyAsyncOps, tinySync } from './tiny-ops.js';
import { gatheringUncaught } from './uncaught.js';

let order: string[];

beforeEach(() => {
  order = [];
});

function* steps(name: string, io: StorageIo, file: IoFile, count = 3): IoRoutine<string> {
  for (let step = 1; step <= count; step++) {
    yield* ioSteps.write(io, file, Buffer.from(name), 0);
    order.push(`${name}${step}`);
  }
  return name;
}

function* broken(io: StorageIo): IoRoutine<never> {
  yield* ioSteps.syncDirectory(io, 'd');
  throw new Error('broken');
}

const kinds: readonly (readonly [kind: string, make: () => StorageIo])[] = [
  ['that can wait', () => tinySync(new TinyFiles())],
  ['that cannot', () => fromAsyncFileOps(tinyAsyncOps(new TinyFiles(), inATurn))],
];

describe.each(kinds)('a queue on a backend %s', (_kind, make) => {
  it('runs routines one after another', async () => {
    const io = make();
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    expect(queue.idle).toBe(true);
    const all = ['a', 'b', 'c'].map((name) => queue.run(() => steps(name, io, file)));
    expect(queue.idle).toBe(false);
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c']);
    expect(order).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'c1', 'c2', 'c3']);
    expect(queue.idle).toBe(true);
  });

  it('starts a routine without a promise, and reports its outcome', async () => {
    const io = make();
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    const ended: unknown[] = [];
    queue.start(
      () => steps('a', io, file),
      (outcome) => ended.push(outcome),
    );
    queue.start(
      () => broken(io),
      (outcome) => ended.push(outcome),
    );
    expect(await queue.run(() => steps('b', io, file, 1))).toBe('b');
    expect(ended).toEqual([{ value: 'a' }, { error: new Error('broken') }]);
    expect(order).toEqual(['a1', 'a2', 'a3', 'b1']);
  });

  it('makes a routine when its turn has come, and not before', async () => {
    const io = make();
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    const first = queue.run(() => steps('a', io, file));
    const second = queue.run(() => {
      order.push('made');
      return steps('b', io, file, 1);
    });
    await Promise.all([first, second]);
    expect(order).toEqual(['a1', 'a2', 'a3', 'made', 'b1']);
  });

  it('continues after a failure', async () => {
    const io = make();
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    const failed = queue.run(() => broken(io));
    const unmade = queue.run(() => {
      throw new Error('could not be made');
    });
    const good = queue.run(() => steps('a', io, file, 1));
    await expect(failed).rejects.toThrow('broken');
    await expect(unmade).rejects.toThrow('could not be made');
    expect(await good).toBe('a');
    expect(queue.idle).toBe(true);
  });

  it('runs what is added while it works', async () => {
    const io = make();
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    const later: Promise<string>[] = [];
    await queue.run(function* (): IoRoutine<void> {
      yield* ioSteps.datasync(io, file);
      later.push(queue.run(() => steps('later', io, file, 1)));
      yield* ioSteps.datasync(io, file);
      order.push('first');
    });
    await Promise.all(later);
    expect(order).toEqual(['first', 'later1']);
  });

  it('is joined by a routine of another queue, which has the result, and what is thrown', async () => {
    const io = make();
    const file = io.open('d/file', { create: true });
    const [inner, outer] = [new RoutineQueue(io), new RoutineQueue(io)];
    const before = inner.run(() => steps('a', io, file));
    const joined = outer.run(function* () {
      order.push('began');
      const name = yield* inner.join(() => steps('b', io, file));
      return `${name} was joined`;
    });
    const failed = outer.run(() => inner.join(() => broken(io)));
    expect(await joined).toBe('b was joined');
    await expect(failed).rejects.toThrow('broken');
    await before;
    expect(order).toEqual(['began', 'a1', 'a2', 'a3', 'b1', 'b2', 'b3']);
    expect([inner.idle, outer.idle]).toEqual([true, true]);
  });

  it('needs no stack for thousands of routines that end at once', async () => {
    const io = make();
    const queue = new RoutineQueue(io);
    let ended = 0;
    const first = queue.run(() => ioSteps.syncDirectory(io, 'd'));
    const all = Array.from({ length: 20_000 }, () =>
      // biome-ignore lint/correctness/useYield: it ends at once
      queue.run(function* (): IoRoutine<void> {
        ended += 1;
      }),
    );
    expect(ended).toBe(0);
    await Promise.all([first, ...all]);
    expect(ended).toBe(20_000);
  });
});

describe('a queue that is blocked for', () => {
  it('also drives the routines before it, and returns the result', async () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    const before = [queue.run(() => steps('a', io, file)), queue.run(() => steps('b', io, file))];
    expect(queue.runSync(() => steps('c', io, file, 1))).toBe('c');
    expect(order).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'c1']);
    expect(await Promise.all(before)).toEqual(['a', 'b']);
    expect(queue.idle).toBe(true);
  });

  it('also drives the routine that it has joined', () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const [inner, outer] = [new RoutineQueue(io), new RoutineQueue(io)];
    void inner.run(() => steps('a', io, file));
    expect(outer.runSync(() => inner.join(() => steps('b', io, file)))).toBe('b');
    expect(order).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'b3']);
    expect(
      outer.runSync(() =>
        // biome-ignore lint/correctness/useYield: it ends at once
        inner.join(function* (): IoRoutine<string> {
          return 'at once';
        }),
      ),
    ).toBe('at once');
  });

  it('throws what its routine throws, and not what another one did', async () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    const before = queue.run(() => broken(io));
    expect(queue.runSync(() => steps('a', io, file, 1))).toBe('a');
    await expect(before).rejects.toThrow('broken');
    expect(() => queue.runSync(() => broken(io))).toThrow('broken');
    expect(queue.idle).toBe(true);
  });

  it('refuses before anything else where the backend cannot wait', () => {
    const io = fromAsyncFileOps(tinyAsyncOps(new TinyFiles(), inATurn));
    const queue = new RoutineQueue(io);
    let made = false;
    expect(() =>
      queue.runSync(() => {
        made = true;
        return broken(io);
      }),
    ).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED' }));
    expect(made).toBe(false);
    expect(queue.idle).toBe(true);
  });

  it('does so from inside the callback of a routine that has ended, with the callbacks queued after it', async () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    for (const name of ['a', 'b']) {
      queue.start(
        () => steps(name, io, file, 1),
        () => {
          order.push(`${name} ended`);
          order.push(queue.runSync(() => steps(`${name}'s`, io, file, 1)));
        },
      );
    }
    await queue.run(() => steps('c', io, file, 1));
    expect(queue.runSync(() => steps('d', io, file, 1))).toBe('d');
    expect(order).toEqual(expect.arrayContaining(['a ended', "a's", 'b ended', "b's", 'c1', 'd1']));
    expect(queue.idle).toBe(true);
  });

  it('does so from inside the callback of a routine that ends at once', () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    queue.start(
      function* (): IoRoutine<void> {},
      () => order.push(queue.runSync(() => steps('a', io, file, 1))),
    );
    expect(order).toEqual(['a1', 'a']);
    expect(queue.idle).toBe(true);
  });

  it('refuses inside a step of its own, and never runs what it refused', async () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    await queue.run(function* (): IoRoutine<void> {
      const refused = expect.objectContaining({ code: 'WAL_STATE', state: 'inside-a-step' });
      expect(() => queue.runSync(() => steps('a', io, file))).toThrow(refused);
      yield* ioSteps.datasync(io, file);
    });
    expect(queue.runSync(() => steps('b', io, file, 1))).toBe('b');
    expect(order).toEqual(['b1']);
  });

  it('never runs what could not have its turn', async () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    let open: () => void = () => {};
    const before = queue.run(function* (): IoRoutine<void> {
      yield (resume) => {
        open = resume;
      };
    });
    expect(() => queue.runSync(() => steps('a', io, file))).toThrow(expect.objectContaining({ code: 'WAL_STATE' }));
    open();
    await before;
    expect(queue.runSync(() => steps('b', io, file, 1))).toBe('b');
    expect(order).toEqual(['b1']);
  });

  it('continues when the callback of a routine that has ended throws', async () => {
    const io = tinySync(new TinyFiles());
    const file = io.open('d/file', { create: true });
    const queue = new RoutineQueue(io);
    const uncaught = await gatheringUncaught(async () => {
      queue.start(
        function* (): IoRoutine<void> {},
        () => {
          throw new Error('told');
        },
      );
      expect(await queue.run(() => steps('a', io, file, 1))).toBe('a');
      await new Promise((resolve) => setImmediate(resolve));
    });
    expect(uncaught).toEqual([new Error('told')]);
    expect(queue.idle).toBe(true);
  });
});
