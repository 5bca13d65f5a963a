import { createMemoryStorageIo } from '@walstack/storage-io';
import { setTurnClock, turnNumber } from '@walstack/storage-io/internal';
import { Wal, type WalProgress } from '@walstack/wal';
import { describe, expect, onTestFinished, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { abortedInTurn, looksDuring, turnsByLooks } from '../../../harness/test-kit/turn-clock.js';

const EVENTS = 400;

/** Bytes of a payload that takes long. */
const LONG = 64 * 1024;

const SMALL = { blockBytes: 512, segmentBytes: 4096, markAfterMs: 0 } as const;

async function logIn(directory: string, io: ReturnType<typeof createMemoryStorageIo> | 'thread-pool') {
  const wal = await Wal.open<number>(directory, { io, encoding: 'json', ...SMALL });
  for (let event = 1; event <= EVENTS; event++) wal.append(event);
  await wal.sync();
  return wal;
}

const inMemory = () => logIn('/log', createMemoryStorageIo());

/** Follows up to the last event. */
async function followed(follower: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const item of follower) {
    count += Array.isArray(item) ? item.length : 1;
    if (count === EVENTS) break;
  }
  return count;
}

describe.each([
  ['in memory', inMemory],
  ['in files', () => logIn(temporaryDirectory(), 'thread-pool')],
])('%s', (_name, make) => {
  test('every way of reading gives the event loop its turn', async () => {
    const wal = await make();
    const ways: Record<string, () => Promise<unknown>> = {
      replay: () => wal.replay('first', () => {}),
      iterator: async () => {
        for await (const _event of wal.iterator());
      },
      follow: () => followed(wal.follow()),
    };
    for (const [name, read] of Object.entries(ways)) {
      const { looks, most } = await looksDuring(read);
      expect(looks, name).toBeGreaterThan(EVENTS);
      expect(most, name).toBeLessThan(10);
    }
    await wal.shutdown();
  });
});

test('a follower of another process gives the event loop its turn, and reports until it has caught up', async () => {
  const directory = temporaryDirectory();
  const wal = await logIn(directory, 'thread-pool');
  // The mark of the close proves the last event durable.
  await wal.shutdown();
  const told: WalProgress[] = [];
  const onProgress = (progress: WalProgress): void => void told.push(progress);
  const { looks, most } = await looksDuring(async () => {
    expect(await followed(Wal.follow(directory, 'first', { onProgress }))).toBe(EVENTS);
  });
  expect(looks).toBeGreaterThan(EVENTS);
  expect(most).toBeLessThan(10);
  expect(told.length).toBeGreaterThan(3);
  for (const [index, { bytes, totalBytes, phase }] of told.entries()) {
    expect(bytes).toBeGreaterThanOrEqual(told[index - 1]?.bytes ?? 0);
    expect([phase, bytes <= totalBytes]).toEqual(['read', true]);
  }
});

test('a follower reports the end once it is reached, and nothing from then on', async () => {
  turnsByLooks(2);
  const wal = await inMemory();
  const told: WalProgress[] = [];
  const follower = wal.follow('first', { onProgress: (progress) => void told.push(progress) });
  for (let event = 1; event <= EVENTS; event++) await follower.next();
  const waiting = follower.next();
  // The end of the log is reached, and the follower waits.
  await turns(200);
  expect(told.at(-1)?.bytes).toBe(told.at(-1)?.totalBytes);
  expect(told.at(-1)).toMatchObject({ phase: 'read', records: EVENTS });
  const calls = told.length;
  for (let event = 1; event <= 50; event++) await wal.commit(event);
  await waiting;
  for (let event = 2; event <= 50; event++) await follower.next();
  expect(told).toHaveLength(calls);
  await follower.return();
  await wal.shutdown();
});

test('a follower ends with what the callback throws', async () => {
  turnsByLooks(5);
  const wal = await inMemory();
  const failure = new Error('of the application');
  const onProgress = (): never => {
    throw failure;
  };
  expect(await rejection(followed(wal.follow('first', { onProgress })))).toBe(failure);
  expect(() => wal.follow('first', { onProgress: 1 as never })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
  );
  await wal.shutdown();
});

test('long events behind short ones leave the event loop its turn: each is looked at', async () => {
  let now = 0;
  let [turn, spent, most] = [0, 0, 0];
  // Decoding takes 3 ms for each of the long events, and nothing else takes any time.
  const decode = ({ length }: Uint8Array): number => {
    if (length < LONG) return length;
    now += 3;
    spent = (turn === turnNumber() ? spent : 0) + 3;
    turn = turnNumber();
    most = Math.max(most, spent);
    return length;
  };
  const encoding = { name: 'slow', encode: (length: number) => new Uint8Array(length), decode };
  const options = { io: createMemoryStorageIo(), encoding, compression: { codec: 'deflate' }, markAfterMs: 0 } as const;
  const wal = await Wal.open('/log', options);
  for (let event = 1; event <= EVENTS; event++) wal.append(event <= EVENTS / 2 ? 8 : LONG);
  await wal.sync();
  setTurnClock(() => now);
  onTestFinished(() => setTurnClock());
  const ways: Record<string, () => Promise<unknown>> = {
    replay: () => wal.replay('first', () => {}),
    iterator: async () => {
      for await (const _event of wal.iterator());
    },
    follow: () => followed(wal.follow()),
    'follow in batches': () => followed(wal.follow('first', { batch: EVENTS })),
  };
  for (const [name, read] of Object.entries(ways)) {
    most = 0;
    await read();
    expect(most, name).toBeGreaterThan(0);
    expect(most, name).toBeLessThan(10);
  }
  await wal.shutdown();
});

test('a batch is returned before it is full where decoding takes long', async () => {
  const wal = await inMemory();
  turnsByLooks(0);
  const [first] = await take(wal.follow('first', { batch: 1000 }), 1);
  turnsByLooks(5);
  const batches = await take(wal.follow('first', { batch: 1000 }), 2);
  expect(batches.every((batch) => batch.length <= 256)).toBe(true);
  expect(first?.length).toBeGreaterThan(0);
  await wal.shutdown();
});

async function take<T>(follower: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of follower) if (taken.push(item) === count) break;
  return taken;
}

test('a signal that a timer would abort ends every way of reading', async () => {
  const wal = await inMemory();
  const ways = [
    (signal: AbortSignal) => wal.replay('first', () => {}, { signal }),
    async (signal: AbortSignal) => {
      for await (const _event of wal.iterator('first', { signal }));
    },
    (signal: AbortSignal) => followed(wal.follow('first', { signal })),
  ];
  for (const read of ways) {
    turnsByLooks(5);
    expect(await rejection(Promise.resolve(read(abortedInTurn(20))))).toMatchObject({ code: 'WAL_ABORTED' });
  }
  await wal.shutdown();
});

test('opening takes a signal and reports, by the builder as well', async () => {
  const io = createMemoryStorageIo();
  const wal = await logIn('/log', io);
  await wal.shutdown();
  turnsByLooks(5);
  const signal = abortedInTurn(5);
  expect(await rejection(Wal.open('/log', { io, signal }))).toMatchObject({ code: 'WAL_ABORTED' });
  const told: WalProgress[] = [];
  const report = await Wal.recover('/log', { io, onProgress: (progress) => void told.push(progress) });
  expect([report.records, told.at(-1)?.records]).toEqual([EVENTS, EVENTS]);
  const again = await Wal.builder('/log')
    .io(io)
    .onProgress((progress) => void told.push(progress))
    .signal(new AbortController().signal)
    .build();
  expect(told.at(-1)).toMatchObject({ records: EVENTS });
  await again.close();
});
