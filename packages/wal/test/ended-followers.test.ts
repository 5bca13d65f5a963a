import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

test.each(['log', 'read-only log'] as const)('a %s does not keep a follower in memory that has ended', async (kind) => {
  const directory = `${temporaryDirectory()}/log`;
  await using written = await Wal.open(directory);
  await written.commit('a');
  await using readonly = await Wal.open(directory, { recoveryMode: 'readonly' });
  const wal = kind === 'log' ? written : readonly;
  const kept: WeakRef<() => void>[] = [];
  for (let each = 0; each < 50; each++) {
    const onProgress = (): void => {};
    kept.push(new WeakRef(onProgress));
    const follower = wal.follow('first', { onProgress });
    expect((await follower.next()).value?.lsn).toBe(1);
    await follower.return();
  }
  await turns();
  collectGarbage();
  // The last one may still be on the stack.
  expect(kept.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(25);
});
