import { createMemoryStorageIo } from '@walstack/storage-io';
import { Batch, Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { moved } from '../../../harness/test-kit/moved-memory.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { textsOf } from './support/outcomes.js';

/** Bytes whose memory is transferred before they are appended, or during the append. */

const invalid = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' };

const encodings = {
  view: 'view',
  buffer: 'buffer',
  own: { name: 'own', encode: () => moved(), decode: () => undefined },
} as const;

test.each(Object.keys(encodings) as (keyof typeof encodings)[])(
  'they are refused by every call that appends, with the encoding %s',
  async (encoding) => {
    const io = createMemoryStorageIo();
    const wal = await Wal.open<unknown, unknown>('/log', { io, encoding: encodings[encoding] as never });
    const bytes = new Batch().add('first');
    expect(await wal.commitBatch(bytes)).toBe(1);
    const batch = wal.batch();
    expect(thrown(() => wal.append(moved()))).toMatchObject(invalid);
    expect(thrown(() => batch.add(moved()))).toMatchObject(invalid);
    expect(await rejection(wal.commit(moved()))).toMatchObject(invalid);
    const { signal } = new AbortController();
    expect(await rejection(wal.commit(moved(), { signal }))).toMatchObject(invalid);
    expect([wal.lastLsn, wal.failure, wal.stats().pendingBytes]).toEqual([1, undefined, 0]);
    expect(await wal.commitBatch(new Batch().add('second'))).toBe(2);
    await wal.shutdown();
    const again = await Wal.open('/log', { io });
    expect(await textsOf(again)).toEqual(['first', 'second']);
    await again.shutdown();
  },
);

test('they are rejected as meta, and by a commit that would have to wait for room', async () => {
  const io = createMemoryStorageIo();
  const wal = await Wal.open('/log', { io, maxPendingBytes: 1024 });
  expect(thrown(() => wal.append('payload', { meta: moved() }))).toMatchObject(invalid);
  expect(await rejection(wal.commit('payload', { meta: moved() }))).toMatchObject(invalid);
  wal.append('x'.padEnd(1000));
  const payload = new Uint8Array(500);
  const options = {
    get type() {
      moved(payload);
      return 1;
    },
  };
  const refused = [
    wal.commit(payload, options),
    wal.commit(moved()),
    wal.commit('payload'.padEnd(500), { meta: moved() }),
  ];
  for (const commit of refused) expect(await rejection(commit)).toMatchObject(invalid);
  expect(await wal.commit('last'.padEnd(500))).toBe(2);
  expect(await textsOf(wal)).toEqual(['x'.padEnd(1000), 'last'.padEnd(500)]);
  await wal.shutdown();
});
