import type { CoreWalWriter } from '@walstack/percore';
import { expect, test } from 'vitest';
import { Random } from '../src/random.js';
import { optionsOf } from '../src/torture/tortured-log.js';
import { CoreAuthor } from '../src/torture/workload/core-author.js';

test('a put counts for its epoch, also when what is removed behind it is in the next one', async () => {
  const seed = 7;
  const end = new AbortController();
  let puts = 0;
  let before: number | undefined;
  const writer = {
    coreId: 0,
    barrier: undefined as { readonly epoch: number } | undefined,
    appendPut: () => {
      puts++;
    },
    // Another thread has gone on to the next epoch: the writer appends the barrier of the last one first.
    appendDelete: () => {
      before ??= puts;
      writer.barrier ??= { epoch: 0 };
      end.abort();
    },
    appendCommit: () => {},
    sync: async () => {},
    submitSync: () => {},
    checkCompletions: () => true,
    flush: async () => {},
  };
  const options = optionsOf({ padGroups: false, api: 'percore' }, new Random(seed));
  const author = new CoreAuthor(writer as unknown as CoreWalWriter, { seed, run: 1, options }, 0, () => {});
  await author.write(end.signal);
  expect(before).toBeGreaterThan(0);
  expect(author.upTo(0)).toBe(before);
});
