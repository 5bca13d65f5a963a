import {
  type CreateIo,
  ExplorationFailure,
  type FaultKind,
  type FaultOptions,
  injectFaults,
  type ProcessRun,
  type Program,
  type SimulatedDisk,
} from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { blocking, type Defect, failureOf, waiting } from './toy-log.js';

const inject = (defect?: Defect, options: FaultOptions = {}) => {
  const { scenario, check } = blocking(defect);
  return injectFaults(scenario, check, options);
};

const injectAsync = (defect?: Defect, options: FaultOptions = {}) => {
  const { scenario, check } = waiting(defect);
  const createIo: CreateIo = ([disk]) => (disk as SimulatedDisk).createStorageIo({ completesInline: false });
  return injectFaults(scenario, check, { createIo, ...options });
};

const both = [
  ['synchronous', inject],
  ['asynchronous', injectAsync],
] as const;

describe.each(both)('a toy log, %s', (_name, injectInto) => {
  test('that is right survives every fault', async () => {
    const report = await injectInto(undefined, { seeds: [1, 2] });
    expect(report.seeds).toBe(2);
    expect(report.states).toBeGreaterThan(3 * report.faults);
    const { faults } = await injectInto(undefined, { seeds: [1, 2], recoveries: 0 });
    expect(faults).toBe(214);
    expect(report.faults).toBe(393);
  }, 60_000);

  const found: readonly (readonly [Defect, FaultKind])[] = [
    ['syncs again after a sync that failed', 'failing-sync'],
    ['believes the cache when it opens', 'failing-sync'],
    ['forgets that a write failed', 'EIO'],
    ['forgets that a write failed', 'ENOSPC'],
    ['forgets that a write failed', 'short-write'],
    ['forgets that a write failed', 'full'],
    ['syncs again after a sync that failed', 'flaky'],
  ];

  test.each(found)('that %s is found out by %s, and the coordinate leads there again', async (defect, kind) => {
    const failure = await failureOf(injectInto(defect, { kinds: [kind] }));
    expect(failure.coordinate).toContain(`.${kind}`);
    expect(failure.message).toContain(`failed: ${kind}`);
    const again = await failureOf(injectInto(defect, { replay: failure.coordinate }));
    expect(again.message).toBe(failure.message);
    expect(await injectInto(undefined, { replay: failure.coordinate })).toMatchObject({ faults: 1 });
  });
});

describe('the error that a scenario ends with', () => {
  const failing = (rethrow: (error: unknown) => never) =>
    injectFaults(
      (run) => {
        try {
          run.io.makeDirectory('/d');
        } catch (error) {
          rethrow(error);
        }
      },
      () => {},
      { kinds: ['EIO'] },
    );

  test('may be a consequence of the fault', async () => {
    await failing((cause) => {
      throw new Error('recovery failed', { cause });
    });
  });

  test('must not be another', async () => {
    const failure = await failureOf(
      failing(() => {
        throw new TypeError('undefined is not a function');
      }),
    );
    expect(failure.message).toContain('does not come from that');
    expect(failure.message).toContain('undefined is not a function');
    expect(failure.coordinate).toBe('1!0.1.EIO');
  });

  test('may be looked at', async () => {
    const seen: unknown[] = [];
    await injectFaults(
      (run) => run.io.makeDirectory('/d'),
      () => {},
      {
        kinds: ['ENOSPC'],
        accepts: (error, fault) => {
          seen.push([(error as Error).name, fault]);
          return true;
        },
      },
    );
    const operation = { number: 1, kind: 'make-directory', path: '/d' };
    expect(seen).toEqual([['WalError', { kind: 'ENOSPC', code: 'ENOSPC', operation }]]);
  });
});

describe('a disk that comes round by itself', () => {
  const making = (path: string) => (run: ProcessRun<never>) => {
    const { io } = run;
    if (!io.list('/').includes(path.slice(1))) io.makeDirectory(path);
  };

  test.each(['full', 'flaky'] as const)('is opened again and again until it has: %s', async (kind) => {
    const seen: string[] = [];
    const seeds = Array.from({ length: 20 }, (_, index) => index + 1);
    const check: Program<never> = (run) => {
      try {
        making('/checked')(run);
        seen.push('passed');
      } catch (error) {
        seen.push('failed');
        throw error;
      }
    };
    const report = await injectFaults(making('/made'), check, { kinds: [kind], seeds, recoveries: 0 });
    expect(report.faults).toBe(20);
    expect(seen).toContain('failed');
    // Each disk as it is, and after power cuts.
    expect(seen.filter((each) => each === 'passed').length).toBe(report.states);
  });

  test('is not what another error of the check comes from', async () => {
    const check: Program<never> = () => {
      throw new TypeError('undefined is not a function');
    };
    const failure = await failureOf(injectFaults(making('/made'), check, { kinds: ['full'], recoveries: 0 }));
    expect(failure.message).toContain('undefined is not a function');
  });
});

test.each([
  [{ kinds: ['EPERM'] }, RangeError],
  [{ kinds: 'EIO' }, TypeError],
  [{ pointsPerFault: 0 }, RangeError],
  [{ survivorsPerPoint: 0 }, RangeError],
  [{ accepts: true }, TypeError],
  [{ replay: '1!0.999.EIO' }, ExplorationFailure],
  [{ replay: '1!3.1.EIO' }, RangeError],
  [{ fault: 1 }, TypeError],
])('options are checked: %j', async (options, error) => {
  await expect(inject(undefined, options as never)).rejects.toThrow(error);
});
