import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KeyRing, Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { keyOf, ringOf } from '../../../harness/test-kit/keys.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { textsOf } from './support/outcomes.js';

const SECRET = 'the secret of the house';

test('a log on real files is encrypted, rotated to another key, replayed and followed', async () => {
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, { keyRing: ringOf(1, 2) });
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

  await using again = await Wal.open(directory, { keyRing: ringOf(1, 2) });
  expect(await textsOf(again)).toEqual([`${SECRET} 1`, `${SECRET} 2`]);
  const follower = Wal.follow(directory, 2, { keyRing: ringOf(1, 2), encoding: 'utf8' });
  expect((await follower.next()).value?.payload).toBe(`${SECRET} 2`);
  await follower.return();
  expect(await rejection(Wal.follow(directory, 1).next())).toMatchObject({ code: 'WAL_BAD_KEY' });
});

test('a ring can be set before the first append, and not after it', async () => {
  await using wal = await Wal.open(`${temporaryDirectory()}/log`);
  expect(wal.encryptionRing).toBeUndefined();
  expect(await rejection(wal.rotateKey())).toMatchObject({ code: 'WAL_STATE' });
  const ring = ringOf(1, 2);
  wal.setEncryptionRing(ring);
  expect(wal.encryptionRing).toBe(ring);
  await wal.commit('a');
  expect(thrown(() => wal.setEncryptionRing(ring))).toMatchObject({ code: 'WAL_STATE' });
  expect(await textsOf(wal)).toEqual(['a']);
});

test('a follower that began before the ring was set, or replaced, uses the new ring', async () => {
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, { encoding: 'utf8' });
  await wal.commit('in the clear');
  await wal.shutdown();
  const again = await Wal.open(directory, { encoding: 'utf8' });
  const follower = again.follow();
  expect((await follower.next()).value?.payload).toBe('in the clear');
  const next = follower.next();
  again.setEncryptionRing(ringOf(3));
  again.setEncryptionRing(ringOf(1, 2));
  await again.commit('encrypted');
  expect((await next).value?.payload).toBe('encrypted');
  await again.rotateKey(2);
  await again.commit('under another key');
  expect((await follower.next()).value?.payload).toBe('under another key');
  await follower.return();
  await again.shutdown();
});

/** A log under key 1 and then key 2, and a ring whose callback is asked for key 1 and never gives it. */
async function withoutAnswer(): Promise<{ directory: string; keyRing: KeyRing; asked: () => Promise<void> }> {
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, { keyRing: ringOf(1, 2) });
  await wal.commit('under key 1');
  await wal.rotateKey(2);
  await wal.commit('under key 2');
  await wal.shutdown();
  let tell = (): void => {};
  const keyRing = KeyRing.fromCallback(2, (id) => {
    if (id === 2) return keyOf(2);
    tell();
    return new Promise(() => {});
  });
  // The ring calls once: later calls wait for the same answer.
  const first = new Promise<void>((resolve) => {
    tell = resolve;
  });
  return { directory, keyRing, asked: () => first };
}

test('a follower that waits for a key service ends with its signal, with return, and with the log', async () => {
  const { directory, keyRing, asked } = await withoutAnswer();
  const wal = await Wal.open(directory, { keyRing });
  const followers = [
    (signal: AbortSignal) => wal.follow('first', { signal }),
    (signal: AbortSignal) => Wal.follow(directory, 'first', { signal, keyRing }),
  ];
  for (const follow of followers) {
    const giving = new AbortController();
    const aborted = follow(giving.signal).next();
    await asked();
    giving.abort();
    expect(await rejection(aborted)).toMatchObject({ code: 'WAL_ABORTED' });
    const left = follow(new AbortController().signal);
    const next = left.next();
    expect(await left.return()).toEqual({ done: true, value: undefined });
    expect(await next).toEqual({ done: true, value: undefined });
  }
  const closed = rejection(wal.follow('first').next());
  const replayed = rejection(wal.replay('first', () => {}));
  await wal.shutdown();
  expect(await closed).toMatchObject({ code: 'WAL_CLOSED' });
  expect(await replayed).toMatchObject({ code: 'WAL_CLOSED' });
});

test('payloads are compressed when that makes them smaller, and are read back unchanged', async () => {
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
