import {
  CompletionRouter,
  createMemoryStorageIo,
  type IoRoutine,
  ioSteps,
  runAsync,
  runSync,
} from '@walstack/storage-io';
import {
  calledBetweenSteps,
  isTurnDue,
  nextTurn,
  Pace,
  RoutineQueue,
  setTurnClock,
  TURN,
  type Watch,
  watched,
} from '@walstack/storage-io/internal';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { turnsDuring } from '../../../harness/test-kit/turn-clock.js';
import * as source from '../src/routines/turns.js';
import { turn } from './polling.js';

let now = 0;
const clock = vi.fn(() => now);

beforeEach(async () => {
  // Behind the turn in which the test before has worked.
  await turn();
  setTurnClock(clock);
  clock.mockClear();
});

afterEach(() => setTurnClock());

/** A routine that needs so many turns. */
function* inTurns(turns: number, step: (count: number) => void = () => {}): IoRoutine<string> {
  for (let count = 1; count <= turns; count++) {
    yield TURN;
    step(count);
  }
  return 'done';
}

describe('a turn of the event loop', () => {
  it('is due when work has kept it for 5 ms, counted from the first look in each turn', async () => {
    expect(isTurnDue()).toBe(false);
    now += 4.9;
    expect(isTurnDue()).toBe(false);
    now += 0.1;
    expect(isTurnDue()).toBe(true);
    await nextTurn();
    now += 100;
    expect(isTurnDue()).toBe(false);
    now += 5;
    expect(isTurnDue()).toBe(true);
    // A turn that comes by itself counts as well.
    await turn();
    expect(isTurnDue()).toBe(false);
  });

  it('lets timers and I/O run, which a microtask does not', async () => {
    const ran: string[] = [];
    const timer = new Promise<void>((resolve) => {
      setTimeout(() => {
        ran.push('timer');
        resolve();
      });
    });
    // As many as it takes, which with microtasks would be without end.
    for (let turns = 0; ran.length === 0 && turns < 1_000_000; turns++) await nextTurn();
    expect(ran).toEqual(['timer']);
    await timer;
  });

  it('is given to each work that waits, one piece in every turn while each uses it up', async () => {
    const order: string[] = [];
    const work = async (name: string): Promise<void> => {
      for (let piece = 0; piece < 3; piece++) {
        order.push(name);
        now += 6;
        await nextTurn();
      }
    };
    isTurnDue();
    await Promise.all([work('a'), work('b'), work('c')]);
    expect(order.join('')).toBe('abcabcabc');
  });

  it('continues several works in one turn that use little of it', async () => {
    const io = createMemoryStorageIo();
    const works = Array.from({ length: 50 }, () => runAsync(io, inTurns(1)));
    const { turns } = await turnsDuring(() => Promise.all(works));
    expect(turns).toBeLessThanOrEqual(2);
  });
});

describe('a pace', () => {
  it('looks at the clock at every 128th record of short work', () => {
    const pace = new Pace();
    for (let record = 0; record < 12_800; record++) pace.isDue();
    expect(clock.mock.calls.length).toBeLessThanOrEqual(108);
    expect(clock.mock.calls.length).toBeGreaterThanOrEqual(100);
  });

  it('looks at each record where they take long, and finds the turn due', () => {
    const pace = new Pace();
    let due = 0;
    for (let record = 0; record < 100; record++) {
      now += 1;
      if (pace.isDue()) due++;
    }
    expect(clock).toHaveBeenCalledTimes(100);
    expect(due).toBe(95);
  });

  it('looks more often from the look on that was late', () => {
    const pace = new Pace();
    for (let record = 0; record < 1000; record++) pace.isDue();
    clock.mockClear();
    for (let record = 0; record < 300; record++) {
      now += 2;
      pace.isDue();
    }
    expect(clock.mock.calls.length).toBeGreaterThanOrEqual(300 - 128);
  });
});

describe('a routine that yields TURN', () => {
  it('continues in a later turn on the event loop', async () => {
    const io = createMemoryStorageIo();
    const { turns, result } = await turnsDuring(() => runAsync(io, inTurns(10)));
    expect([result, turns >= 9]).toEqual(['done', true]);
  });

  it('continues at once in a call that blocks', () => {
    const steps: number[] = [];
    expect(
      runSync(
        createMemoryStorageIo(),
        inTurns(3, (count) => steps.push(count)),
      ),
    ).toBe('done');
    expect(steps).toEqual([1, 2, 3]);
  });

  it('does not keep a blocking call behind it from its turn in the queue', () => {
    const io = createMemoryStorageIo();
    const queue = new RoutineQueue(io);
    const ended: string[] = [];
    void queue.run(() => inTurns(5)).then(() => ended.push('first'));
    expect(queue.runSync(() => inTurns(0))).toBe('done');
    expect(queue.idle).toBe(true);
  });

  it('continues when completions are drained without the event loop', () => {
    const router = CompletionRouter.for(createMemoryStorageIo());
    const queue = new RoutineQueue(router.io);
    let isDone = false;
    queue.start(
      () => inTurns(3),
      () => {
        isDone = true;
      },
    );
    expect([router.drain(), router.drain(), isDone]).toEqual([1, 1, false]);
    expect([router.drain(), isDone, router.drain()]).toEqual([1, true, 0]);
  });

  it('is waited for before a backend is disposed of', async () => {
    const router = CompletionRouter.for(createMemoryStorageIo());
    let turns = 0;
    const running = runAsync(
      router.io,
      inTurns(4, () => turns++),
    );
    expect(router.pending).toBe(1);
    await router.settled();
    expect([turns, router.pending]).toEqual([4, 0]);
    await running;
  });

  it('leaves completions their turn in a call that blocks for something else', () => {
    const io = createMemoryStorageIo();
    io.makeDirectory('/d');
    const file = io.open('/d/f', { create: true });
    let turns = 0;
    const reading = runAsync(
      io,
      inTurns(1000, () => turns++),
    );
    runSync(io, ioSteps.write(io, file, Buffer.from('x'), 0));
    expect(turns).toBeLessThan(10);
    io.close(file);
    return reading;
  });
});

describe('a watched routine', () => {
  const watch = (given: Partial<Watch>): Watch => ({ reason: undefined, ...given });

  it('gets the reason to end where it waits, and closes what it has opened', async () => {
    let reason: unknown;
    const closed: string[] = [];
    function* reading(): IoRoutine<void> {
      try {
        yield TURN;
        reason = new Error('over');
        yield TURN;
        yield TURN;
      } finally {
        closed.push('file');
      }
    }
    const observed: Watch = {
      get reason() {
        return reason;
      },
    };
    await expect(runAsync(createMemoryStorageIo(), watched(reading(), observed))).rejects.toThrow('over');
    expect(closed).toEqual(['file']);
  });

  it('closes what it has opened when a watch around its own ends it', async () => {
    const closed: string[] = [];
    function* reading(): IoRoutine<void> {
      try {
        yield TURN;
        yield TURN;
      } finally {
        closed.push('file');
      }
    }
    let looks = 0;
    const outer: Watch = {
      get reason() {
        return ++looks > 1 ? new Error('over') : undefined;
      },
    };
    const watchedTwice = watched(watched(reading(), watch({})), outer);
    await expect(runAsync(createMemoryStorageIo(), watchedTwice)).rejects.toThrow('over');
    expect(closed).toEqual(['file']);
  });

  it('reports behind each wait where that is due, and ends with what that throws', async () => {
    const io = createMemoryStorageIo();
    const report = vi.fn();
    expect(await runAsync(io, watched(inTurns(3), watch({ report, isReportDue: false })))).toBe('done');
    expect(report).not.toHaveBeenCalled();
    expect(await runAsync(io, watched(inTurns(3), watch({ report, isReportDue: true })))).toBe('done');
    expect(report).toHaveBeenCalledTimes(3);
    const failure = new Error('of the application');
    report.mockImplementationOnce(() => {
      throw failure;
    });
    const steps: number[] = [];
    const failing = watched(
      inTurns(3, (count) => steps.push(count)),
      watch({ report, isReportDue: true }),
    );
    expect(() => runSync(io, failing)).toThrow(failure);
    expect(steps).toEqual([]);
  });

  it('reports between steps: the callback may call what blocks', () => {
    const io = createMemoryStorageIo();
    const queue = new RoutineQueue(io);
    const inside: string[] = [];
    const report = (): void => void inside.push(queue.runSync(() => inTurns(1)));
    expect(runSync(io, watched(inTurns(2), watch({ report, isReportDue: true })))).toBe('done');
    expect(inside).toEqual(['done', 'done']);
  });

  it('ends while it waits for a condition that is never met, and stops listening', async () => {
    let wake: (() => void) | undefined;
    let reason: unknown;
    const stopped = vi.fn();
    const observed: Watch = {
      get reason() {
        return reason;
      },
      listen: (call) => {
        wake = call;
        return stopped;
      },
    };
    let resumed: (() => void) | undefined;
    function* waiting(): IoRoutine<void> {
      yield (resume) => {
        resumed = resume;
      };
    }
    const running = runAsync(createMemoryStorageIo(), watched(waiting(), observed));
    await turn();
    expect(stopped).not.toHaveBeenCalled();
    reason = new Error('over');
    wake?.();
    await expect(running).rejects.toBe(reason);
    expect(stopped).toHaveBeenCalledTimes(1);
    // The condition is met after all.
    resumed?.();
  });

  it('goes on when its condition is met, and does not wake it again', async () => {
    const stopped = vi.fn();
    const observed = watch({ listen: () => stopped });
    const inTime: IoRoutine<number> = (function* () {
      yield (resume) => void setImmediate(resume);
      return 7;
    })();
    expect(await runAsync(createMemoryStorageIo(), watched(inTime, observed))).toBe(7);
    expect(stopped).toHaveBeenCalledTimes(1);
  });
});

it('a routine that calls a function between steps throws what it throws', () => {
  const io = createMemoryStorageIo();
  const failure = new Error('thrown');
  const throwing = (): never => {
    throw failure;
  };
  expect(() => runSync(io, calledBetweenSteps(throwing))).toThrow(failure);
  const call = vi.fn();
  runSync(io, calledBetweenSteps(call));
  expect(call).toHaveBeenCalledOnce();
});

it('no turn is due while turns are held, as in a simulation', () => {
  source.setTurnClock(clock);
  const releases = [source.holdTurns(), source.holdTurns()];
  source.isTurnDue();
  now += 50;
  expect([source.isTurnDue(), new source.Pace().isDue()]).toEqual([false, false]);
  releases[0]?.();
  releases[0]?.();
  expect(source.isTurnDue()).toBe(false);
  releases[1]?.();
  source.isTurnDue();
  now += 50;
  expect(source.isTurnDue()).toBe(true);
  source.setTurnClock();
});
