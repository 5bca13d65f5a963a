import { createMemoryStorageIo } from '@walstack/storage-io';
import { Wal, type WalEvent, type WalFollower } from '@walstack/wal';
import { expect, test } from 'vitest';
import { turnsByLooks } from '../../../harness/test-kit/turn-clock.js';

const LAST = 20;

type Event = WalEvent<number>;

/** A log of numbers, and what is called when one of them is decoded. */
async function numbered() {
  const hook: { onDecode?: ((value: number) => void) | undefined } = {};
  const decode = (bytes: Uint8Array): number => {
    const value = Number(Buffer.from(bytes).toString());
    hook.onDecode?.(value);
    return value;
  };
  const encoding = { name: 'numbers', encode: (value: number) => Buffer.from(`${value}`), decode };
  const wal = await Wal.open('/log', { io: createMemoryStorageIo(), encoding });
  for (let value = 1; value <= LAST; value++) wal.append(value);
  await wal.sync();
  return { wal, hook };
}

const lsnsOf = ({ value }: IteratorResult<Event | readonly Event[], void>): readonly number[] =>
  (value === undefined ? [] : [value].flat()).map(({ lsn }) => lsn);

test.each([
  ['events', {}],
  ['events of a follower with a name', { name: 'worker', initially: 'first' }],
  ['arrays of events', { batch: 2 }],
] as const)('a request that decoding makes is answered before those behind it: %s', async (_, options) => {
  const { wal, hook } = await numbered();
  const from = 'name' in options ? 'stored' : 1;
  const follower: WalFollower<Event | readonly Event[]> = wal.follow(from, options as { readonly batch: number });
  await follower.next();
  const inside: Promise<IteratorResult<Event | readonly Event[], void>>[] = [];
  hook.onDecode = () => {
    hook.onDecode = undefined;
    inside.push(follower.next(), follower.next());
  };
  const outside = [follower.next(), follower.next(), follower.next()] as const;
  const [first, ...behind] = outside;
  const answers = await Promise.all([first, ...inside, ...behind]);
  const lsns = answers.flatMap(lsnsOf);
  expect(inside).toHaveLength(2);
  expect(lsns).toEqual(lsns.map((_lsn, index) => (lsns[0] as number) + index));
  await follower.return();
  await wal.close();
});

test('where decoding makes a request and fails, the request ends that was made first, and the others find the end', async () => {
  turnsByLooks(0);
  const { wal, hook } = await numbered();
  const follower = wal.follow(1);
  await follower.next();
  const inside: Promise<unknown>[] = [];
  const failure = new Error('not a number');
  hook.onDecode = () => {
    if (inside.length === 0) inside.push(follower.next());
    throw failure;
  };
  const outside = [follower.next(), follower.next()];
  const outcomes = await Promise.allSettled([outside[0], ...inside, outside[1]]);
  expect(outcomes).toEqual([
    { status: 'rejected', reason: expect.objectContaining({ cause: failure }) },
    { status: 'fulfilled', value: { done: true, value: undefined } },
    { status: 'fulfilled', value: { done: true, value: undefined } },
  ]);
  await wal.close();
});
