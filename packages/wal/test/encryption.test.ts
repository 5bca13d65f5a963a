import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KeyRing, Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { temporaryDirectory } from './support/directories.js';
import { rejection, text, textsOf, thrown } from './support/outcomes.js';

const keyOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const ringOf = (): KeyRing => KeyRing.of({ id: 1, key: keyOf(1) }, [{ id: 2, key: keyOf(2) }]);

const SECRET = 'the secret of the house';

test('a log on real files is encrypted, rotated to another key, replayed and followed', async () => {
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, { keyRing: ringOf() });
  const following = (async () => {
    const found: string[] = [];
    for await (const { payload } of wal.follow()) if (found.push(text(payload)) === 2) break;
    return found;
  })();
  await wal.commit(`${SECRET} 1`, { meta: SECRET });
  await wal.rotateKey(2);
  expect(wal.encryptionRing?.currentId).toBe(2);
  const batch = wal.batch().add(`${SECRET} 2`);
  await wal.commitBatch(batch);
  expect(await following).toEqual([`${SECRET} 1`, `${SECRET} 2`]);
  await wal.shutdown();
  for (const name of readdirSync(directory)) expect(readFileSync(join(directory, name)).includes(SECRET)).toBe(false);

  await using again = await Wal.open(directory, { keyRing: ringOf() });
  expect(await textsOf(again)).toEqual([`${SECRET} 1`, `${SECRET} 2`]);
  const follower = Wal.follow(directory, 2, { keyRing: ringOf(), encoding: 'utf8' });
  expect((await follower.next()).value?.payload).toBe(`${SECRET} 2`);
  await follower.return();
  expect(await rejection(Wal.follow(directory, 1).next())).toMatchObject({ code: 'WAL_BAD_KEY' });
});

test('a ring is set before the first append, and not behind it', async () => {
  await using wal = await Wal.open(`${temporaryDirectory()}/log`);
  expect(wal.encryptionRing).toBeUndefined();
  expect(await rejection(wal.rotateKey())).toMatchObject({ code: 'WAL_STATE' });
  const ring = ringOf();
  wal.setEncryptionRing(ring);
  expect(wal.encryptionRing).toBe(ring);
  await wal.commit('a');
  expect(thrown(() => wal.setEncryptionRing(ring))).toMatchObject({ code: 'WAL_STATE' });
  expect(await textsOf(wal)).toEqual(['a']);
});

test('payloads are compressed where that makes them smaller, and come back as they were', async () => {
  const directory = `${temporaryDirectory()}/log`;
  await using wal = await Wal.open(directory, {
    compression: { codec: 'deflate', thresholdBytes: 100 },
    encoding: 'json',
  });
  const payload = { text: 'again and again '.repeat(1000) };
  await wal.commit(payload);
  expect(wal.stats().bytesWritten).toBeLessThan(8192);
  expect([...(await payloadsOf(wal))]).toEqual([payload]);
});

async function payloadsOf(wal: Wal<unknown, unknown>): Promise<unknown[]> {
  const found: unknown[] = [];
  await wal.replay('first', ({ payload }) => found.push(payload));
  return found;
}
