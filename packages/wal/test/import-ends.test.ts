import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { KeyRing } from '@walstack/codec';
import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { keyOf, ringOf } from '../../../harness/test-kit/keys.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const IO = { io: 'sync-fs' } as const;

/**
 * A log of which the events up to 20 have a key that can be loaded, and those behind that one for which the key service never answers;
 * and a log that imports it, until it waits for that.
 */
async function waiting(signal?: AbortSignal) {
  const directory = temporaryDirectory();
  const source = await Wal.open(join(directory, 'source'), { ...IO, keyRing: ringOf(1, 2) });
  for (let event = 1; event <= 20; event++) await source.commit(`event ${event}`);
  await source.rotateKey(2);
  for (let event = 21; event <= 30; event++) await source.commit(`event ${event}`);
  await source.shutdown();

  let asked = (): void => {};
  const isWaiting = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const keyRing = KeyRing.fromCallback(2, (id) => {
    if (id === 1) return keyOf(1);
    asked();
    return new Promise(() => {});
  });
  const wal = await Wal.open(join(directory, 'log'), IO);
  const error = rejection(
    wal.importFrom(join(directory, 'source'), { keyRing, ...(signal === undefined ? {} : { signal }) }),
  );
  await isWaiting;
  return { wal, error };
}

test('a signal ends an import that waits for a key service', async () => {
  const controller = new AbortController();
  const { wal, error } = await waiting(controller.signal);
  controller.abort('enough');
  expect(await error).toMatchObject({ code: 'WAL_ABORTED', cause: 'enough', lsn: 20 });
  expect([wal.lastLsn, wal.durableLsn]).toEqual([20, 20]);
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  await wal.shutdown();
});

test.each([
  ['shutdown', (wal: Wal) => wal.shutdown()],
  ['close', (wal: Wal) => wal.close({ discard: true })],
])('%s ends an import that waits for a key service', async (_name, end) => {
  const { wal, error } = await waiting();
  await end(wal);
  expect(await error).toMatchObject({ code: 'WAL_CLOSED' });
  const { lsn } = (await error) as { lsn: number };
  expect(lsn).toBe(wal.durableLsn);
});
