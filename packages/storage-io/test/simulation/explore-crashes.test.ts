import { ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import {
  type CreateIo,
  type ExploreOptions,
  exploreCrashes,
  type ProcessRun,
  type SimulatedDisk,
} from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { blocking, type Defect, failureOf, waiting } from './toy-log.js';

const explore = (defect?: Defect, options: ExploreOptions = {}) => {
  const { scenario, check } = blocking(defect);
  return exploreCrashes(scenario, check, options);
};

const exploreAsync = (defect?: Defect, options: ExploreOptions = {}) => {
  const { scenario, check } = waiting(defect);
  const createIo: CreateIo = ([disk]) =>
    (disk as SimulatedDisk).createStorageIo({ completesInline: false, canWait: false });
  return exploreCrashes(scenario, check, { createIo, ...options });
};

const both = [
  ['synchronous', explore],
  ['asynchronous', exploreAsync],
] as const;

describe.each(both)('a toy log, %s', (_name, exploreIt) => {
  test('that is right passes every check', async () => {
    const report = await exploreIt(undefined, { seeds: [1, 2, 3, 4], crashCheckEvery: 10 });
    expect(report.seeds).toBe(4);
    expect(report.points).toBeGreaterThan(80);
    expect(report.states).toBeGreaterThan(100);
    expect(report.nestedStates).toBeGreaterThan(20);
    expect(report.nestedStates).toBeLessThan(report.states);
  });

  test.each(['acknowledges before the sync', 'never syncs the directory', 'checks no sums'] as const)(
    'that %s is found out, and the coordinate leads there again',
    async (defect) => {
      const failure = await failureOf(exploreIt(defect, { seeds: [1, 2, 3], survivorsPerPoint: 20 }));
      expect(failure.message).toContain(failure.coordinate);
      expect(failure.message).toMatch(/a crash at point \d+ of \d+/);
      const again = await failureOf(exploreIt(defect, { replay: failure.coordinate }));
      expect(again.message).toBe(failure.message);
      expect((again.cause as Error).message).toBe((failure.cause as Error).message);
      const good = await exploreIt(undefined, { replay: failure.coordinate });
      expect(good).toMatchObject({ seeds: 1, states: 1 });
    },
  );

  test('is explored in the same way each time', async () => {
    const options = { seeds: [7], survivorsPerPoint: 5, crashCheckEvery: 10 };
    expect(await exploreIt(undefined, options)).toEqual(await exploreIt(undefined, options));
  });
});

test('a crash inside the check is found by nothing else', async () => {
  // Recovery notes that it is under way, and believes such a note instead of looking at the log.
  const broken = (run: ProcessRun<string>): void => {
    const { io } = run;
    const kept = io.list('/').includes('kept');
    if (run.notes.includes('kept') && !kept && !io.list('/').includes('busy')) throw new Error('lost');
    if (kept && !io.list('/').includes('busy')) {
      io.close(io.open('/busy', { create: true }));
      io.rename('/kept', '/moved');
      io.rename('/moved', '/kept');
      runSync(io, ioSteps.remove(io, '/busy'));
    }
  };
  const make = (run: ProcessRun<string>): void => {
    run.io.close(run.io.open('/kept', { create: true }));
    runSync(run.io, ioSteps.syncDirectory(run.io, '/'));
    run.note('kept');
  };
  const options = { crashCheckEvery: 1 };
  expect(await exploreCrashes(make, broken, { ...options, crashesInCheck: 0 })).toMatchObject({ nestedStates: 0 });
  const failure = await failureOf(exploreCrashes(make, broken, options));
  expect(failure.coordinate).toMatch(/^1@\d+:\S+@\d+:\S+$/);
  expect(failure.story.length).toBeGreaterThan(1);
});

describe('several disks', () => {
  /** Writes to both disks; what is durable on the first is durable on the second before. */
  const mirrored = (first: number) => (run: ProcessRun<string>) => {
    const [one, two] = run.disks.map((disk) => disk.createStorageIo());
    for (const io of first === 0 ? [one, two] : [two, one]) {
      run.io.close((io as StorageIo).open('/f', { create: true }));
      runSync(io as StorageIo, ioSteps.syncDirectory(io as StorageIo, '/'));
    }
  };
  const check = (run: ProcessRun<string>): void => {
    const [one, two] = run.disks.map((disk) => disk.createStorageIo().list('/'));
    if (one?.includes('f') && !two?.includes('f')) throw new Error('the second disk is behind');
  };
  const options: ExploreOptions = {
    disks: 2,
    createIo: ([disk]) => {
      const io = (disk as SimulatedDisk).createStorageIo();
      return { ...io, close: () => {} } as StorageIo;
    },
  };

  test('lose power at one moment', async () => {
    await exploreCrashes(mirrored(1), check, options);
    const failure = await failureOf(exploreCrashes(mirrored(0), check, options));
    expect(failure.message).toContain('on disk 0');
    expect(failure.message).toContain('the second disk is behind');
  });
});

describe('what goes wrong elsewhere', () => {
  test('a scenario that fails is a failure without a crash', async () => {
    const failure = await failureOf(
      exploreCrashes(
        () => {
          throw new Error('no good');
        },
        () => {},
        { seeds: [4] },
      ),
    );
    expect(failure).toMatchObject({ coordinate: '4', seed: 4, story: [] });
    expect(failure.message).toContain('no good');
  });

  test('a program that waits for ever is one as well', async () => {
    const failure = await failureOf(
      exploreCrashes(
        () => {},
        () => new Promise<void>(() => {}),
      ),
    );
    expect(failure.coordinate).toBe('1@0:none');
    expect(failure.message).toContain('it hangs');
    // A million turns of the event loop, on however busy a machine.
  }, 120_000);

  test('notes after the end are ignored', async () => {
    let late = 0;
    await exploreCrashes<string>(
      (run) => {
        run.io.makeDirectory('/d');
        setImmediate(() => run.note('late'));
      },
      (run) => {
        late += run.notes.length;
      },
    );
    await new Promise(setImmediate);
    expect(late).toBe(0);
  });

  test.each([
    [{ seeds: 1 }, TypeError],
    [{ seeds: [-1] }, RangeError],
    [{ disks: 0 }, RangeError],
    [{ survivorsPerPoint: 0 }, RangeError],
    [{ crashesInCheck: 5 }, RangeError],
    [{ crashCheckEvery: 0 }, RangeError],
    [{ capacityBytes: -1 }, RangeError],
    [{ createIo: {} }, TypeError],
    [{ replay: 1 }, TypeError],
    [{ replay: 'here' }, RangeError],
    [{ replay: '1@3:some' }, RangeError],
    [{ replay: '1!0.3.EPERM' }, RangeError],
    [{ replay: '1@9999:none' }, RangeError],
    [{ survivors: 3 }, TypeError],
  ])('options are checked: %j', async (options, error) => {
    await expect(explore(undefined, options as never)).rejects.toThrow(error);
  });
});
