import { KeyRing, Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';

test('what a rotation of the key makes durable is followed at once', async () => {
  const keyRing = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(1) }, [{ id: 2, key: new Uint8Array(32).fill(2) }]);
  await using wal = await Wal.open(`${temporaryDirectory()}/log`, { keyRing });
  const follower = wal.follow();
  const next = follower.next();
  // The follower waits for something to become durable.
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  wal.append('not committed');
  await wal.rotateKey(2);
  expect(text((await next).value?.payload as Uint8Array)).toBe('not committed');
  await follower.return();
});
