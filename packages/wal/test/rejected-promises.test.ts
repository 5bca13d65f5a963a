import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';

/** Every call that returns a promise rejects it, whatever is wrong, and throws nothing itself. */

/** The names of the methods that return a promise: a new one has to be added below, or this file does not compile. */
type PromiseForms<T> = {
  [Name in keyof T]-?: T[Name] extends (...args: never[]) => Promise<unknown> ? Name : never;
}[keyof T];

type Calls<T> = Record<PromiseForms<T>, readonly (readonly unknown[])[]>;

const symbol = Symbol('wrong');
const badLsns = [[-1], [1.5], ['1'], [symbol], [undefined], [null], [1_000_000]];
const badNames = [[''], [1], [symbol], ['x'.repeat(129)]];
const badHolds = [...badNames.map(([name]) => [name, 1]), ...badLsns.map(([lsn]) => ['name', lsn])];
const badOptions = [[null], [1], [{ other: 1 }]];
const badSignals = [...badOptions, [{ signal: 1 }]];
const badImports = [[1], [''], ['/x', null], ['/x', { other: 1 }], ['/x', { groupBytes: 0 }], ['/none']];
const badBackups = [
  [1],
  [''],
  [symbol],
  [new URL('http://x/')],
  ['/log'],
  ['/log/in it'],
  ['/x', null],
  ['/x', { signal: 1 }],
];
const behindOptions = (first: unknown, options: readonly (readonly unknown[])[]) =>
  options.map((each) => [first, ...each]);

const SEGMENTED: Calls<SegmentedWal> = {
  rotateKey: [[-1], ['1'], []],
  flush: [],
  sync: [],
  truncateBefore: badLsns,
  truncateAfter: badLsns,
  resetTo: badLsns.slice(0, -1),
  checkpoint: badLsns,
  hold: badHolds,
  releaseHold: badNames,
  backup: badBackups,
  followers: [],
  removeFollower: [...badNames, ['Upper'], ['.dot'], ['a/b']],
  read: badLsns.slice(0, -1),
  replayFromLimit: [...badLsns.map(([lsn]) => [lsn, 1]), [1, 0], [1, '1']],
  openReader: [...badLsns, ...behindOptions(1, badOptions)],
  lsnBefore: badLsns,
  close: [...badOptions, [{ discard: 1 }]],
  [Symbol.asyncDispose]: [],
};

const SEGMENTED_STATIC: Calls<typeof SegmentedWal> = {
  open: [...badOptions, [undefined], [{ directory: '' }], [{ directory: '/x', segmentBytes: 1 }]],
  recover: [...badOptions, [undefined], [{ directory: '' }]],
};

const WAL: Calls<Wal> = {
  commit: [[1], [undefined], ['payload', null], ['payload', { type: -1 }], ['payload', { other: 1 }]],
  commitBatch: [[1], [undefined], ['batch']],
  durable: [...badLsns, ...behindOptions(1, badSignals)],
  ready: badSignals,
  flush: [],
  sync: [],
  replay: [
    ['first', 1],
    [-1, () => {}],
    [1_000_000, () => {}],
    [1, () => {}, null],
  ],
  read: badLsns.slice(0, -1),
  truncateBefore: badLsns,
  truncateAfter: badLsns,
  resetTo: badLsns.slice(0, -1),
  checkpoint: badLsns,
  hold: badHolds,
  releaseHold: badNames,
  backup: badBackups,
  importFrom: badImports,
  followers: [],
  removeFollower: [...badNames, ['Upper'], ['.dot'], ['a/b']],
  rotateKey: [[-1], ['1'], []],
  shutdown: [...badOptions, [{ timeoutMs: -1 }], [{ timeoutMs: '1' }]],
  close: [],
  [Symbol.asyncDispose]: [],
};

const WAL_STATIC: Calls<typeof Wal> = {
  open: [[1], [''], ['/x', null], ['/x', { other: 1 }], ['/x', { encoding: 'none' }]],
  recover: [[1], [''], ['/x', null], ['/x', { encoding: 'none' }]],
};

type Methods = Record<PropertyKey, (...args: readonly unknown[]) => unknown>;

/** @returns how the promise ended that a call returned */
async function outcome(target: object, name: PropertyKey, args: readonly unknown[]): Promise<string> {
  let returned: unknown;
  try {
    returned = (target as Methods)[name]?.(...args);
  } catch (error) {
    return `threw ${String(error)}`;
  }
  if (!(returned instanceof Promise)) return `returned ${String(returned)}`;
  return returned.then(
    () => 'resolved',
    (error: unknown) => (error instanceof Error && 'code' in error ? 'rejected' : `rejected with ${String(error)}`),
  );
}

const keysOf = (calls: object): PropertyKey[] => Reflect.ownKeys(calls);

const opened: readonly (readonly [string, () => Promise<object>, object])[] = [
  ['SegmentedWal', () => SegmentedWal.open({ directory: '/log', io: createMemoryStorageIo() }), SEGMENTED],
  ['Wal', () => Wal.open('/log', { io: createMemoryStorageIo() }), WAL],
];

describe.each(opened)('%s', (_name, open, calls) => {
  test.each(keysOf(calls))('%s rejects wrong arguments', async (name) => {
    const log = await open();
    (log as SegmentedWal).append('payload');
    for (const args of (calls as Methods)[name] as unknown as readonly (readonly unknown[])[]) {
      expect([args.map(String), await outcome(log, name, args)]).toEqual([args.map(String), 'rejected']);
    }
    await (log as SegmentedWal).close();
  });

  test.each(keysOf(calls))('%s throws nothing when the log is closed, whatever its arguments are', async (name) => {
    const log = await open();
    await (log as SegmentedWal).close();
    const given = (calls as Methods)[name] as unknown as readonly (readonly unknown[])[];
    for (const args of [...given, [], ['name', 1]]) {
      expect(await outcome(log, name, args)).toMatch(/^(resolved|rejected)$/);
    }
  });
});

test.each([
  ['SegmentedWal', SegmentedWal, SEGMENTED_STATIC],
  ['Wal', Wal, WAL_STATIC],
])('the functions that open a %s reject wrong arguments', async (_name, target, calls) => {
  for (const name of keysOf(calls)) {
    for (const args of (calls as unknown as Methods)[name] as unknown as readonly (readonly unknown[])[]) {
      expect([name, args.map(String), await outcome(target, name, args)]).toEqual([name, args.map(String), 'rejected']);
    }
  }
});
