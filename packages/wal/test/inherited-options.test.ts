import { createMemoryStorageIo } from '@walstack/storage-io';
import { type CommitOptions, Wal, type WalOptions } from '@walstack/wal';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

/** Options that an object has from its prototype, and by getters of its class. */
const inherited = (): CommitOptions => Object.create({ type: 7, meta: 'm', tenantId: 5 });

class Typed {
  get type(): number {
    return 9;
  }
}

const opened = (options: WalOptions = {}): Promise<Wal> =>
  Wal.open('/log', { io: createMemoryStorageIo(), ...options });

async function recordsOf(wal: Wal): Promise<unknown[]> {
  const records: unknown[] = [];
  await wal.replay('first', ({ type, meta, scope }) =>
    records.push([type, Buffer.from(meta).toString(), scope?.tenantId]),
  );
  await wal.shutdown();
  return records;
}

const WANTED = [
  [7, 'm', 5n],
  [9, '', undefined],
];

test('a commit that waits for room uses inherited options, as append does', async () => {
  const wal = await opened({ maxPendingBytes: 4096 });
  wal.append(new Uint8Array(4000), { type: 1 });
  const commits = [wal.commit(new Uint8Array(500), inherited()), wal.commit('b', new Typed())];
  expect(wal.stats().waitingForRoom).toBe(2);
  await Promise.all(commits);
  expect(await recordsOf(wal)).toEqual([[1, '', undefined], ...WANTED]);
});

test('a commit with a signal uses inherited options', async () => {
  const wal = await opened();
  const { signal } = new AbortController();
  await wal.commit('a', Object.assign(inherited(), { signal }));
  await wal.commit('b', Object.assign(new Typed(), { signal }));
  expect(await recordsOf(wal)).toEqual(WANTED);
});

test('an unknown option of a commit with a signal is rejected', async () => {
  const wal = await opened();
  const { signal } = new AbortController();
  await expect(wal.commit('a', { signal, typ: 1 } as never)).rejects.toThrow('has no option "typ"');
  expect(wal.lastLsn).toBe(0);
  await wal.close();
});

test('a replay with a signal filters as without one', async () => {
  const wal = await opened();
  for (const type of [1, 2, 3]) wal.append('x', { type });
  const types: number[] = [];
  const options = Object.assign(Object.create({ types: [2] }), { signal: new AbortController().signal });
  await wal.replay('first', ({ type }) => types.push(type), options);
  expect(types).toEqual([2]);
  await wal.close();
});

test('a log is opened with inherited options', async () => {
  const wal = await Wal.open(temporaryDirectory(), Object.create({ io: createMemoryStorageIo(), maxPendingBytes: 1 }));
  wal.append('x');
  expect(() => wal.append('y')).toThrow(expect.objectContaining({ code: 'WAL_BACKPRESSURE' }));
  await wal.close();
});

test('a log that is read-only by an inherited option is not changed', async () => {
  const io = createMemoryStorageIo();
  const directory = temporaryDirectory();
  const wal = await Wal.open(directory, { io });
  await wal.commit('x');
  await wal.close();
  const files = io.list(directory);
  const report = await Wal.recover(directory, Object.create({ io, recoveryMode: 'readonly' }));
  expect(report.mode).toBe('readonly');
  expect(io.list(directory)).toEqual(files);
});
