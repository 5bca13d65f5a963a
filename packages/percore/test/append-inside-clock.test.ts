import { CoreWalWriter } from '@walstack/percore';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';

test.each([1, 2])('an append inside the clock is rejected at the %ith call of the clock', async (asked) => {
  const io = createMemoryStorageIo();
  let left = 0;
  const refused: unknown[] = [];
  const now = (): number => {
    if (--left === 0) {
      for (const append of [
        () => writer.appendPut('inner', 'b'),
        () => writer.appendEpochBarrier(),
        () => writer.appendEpochBarrier({ last: true }),
      ]) {
        try {
          append();
        } catch (error) {
          refused.push(error);
        }
      }
    }
    return 1000;
  };
  const writer = await CoreWalWriter.open(0, '/log', { io, now });
  writer.appendPut('first', 'a');
  await writer.sync();
  await new Promise(setImmediate);
  left = asked;
  writer.appendPut('outer', 'c');
  expect(refused).toHaveLength(3);
  for (const error of refused) expect(error).toMatchObject({ code: 'WAL_STATE', state: 'appending' });
  writer.appendPut('after', 'd');
  await writer.close();
  const again = await CoreWalWriter.open(0, '/log', { io });
  // The next entry ends the epoch that was to end.
  expect(again.lastLsn).toBe(4);
  expect(again.epoch).toBe(2);
  await again.close();
});
