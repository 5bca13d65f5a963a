import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { SegmentedWal } from '@walstack/segmented';
import { createSyncFsStorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { initialState } from '../src/core/core-state.js';
import { SharedEpochs } from '../src/core/epochs/epochs.js';
import { errorFromTransfer, errorToTransfer } from '../src/manager/error-transfer.js';
import { contentOf, type Report, serveWorker } from '../src/manager/worker.js';

const module = new URL('./support/programs.mjs', import.meta.url).href;

/** Hands over the log of a core as a manager does, without a thread. @param between - what another writer does meanwhile */
async function handOver(between: (log: SegmentedWal) => void): Promise<readonly Report[]> {
  const directory = temporaryDirectory();
  const open = (): SegmentedWal =>
    SegmentedWal.openSync({ directory: join(directory, 'core-0'), coreId: 0, io: createSyncFsStorageIo() });
  const log = open();
  const content = contentOf(log);
  const state = initialState(log.firstLsn - 1);
  log.closeSync();
  const other = open();
  between(other);
  other.closeSync();
  const { port1, port2 } = new MessageChannel();
  const reports: Report[] = [];
  const serve = await serveWorker(
    {
      coreId: 0,
      directory,
      epochs: SharedEpochs.create().buffer,
      io: 'sync-fs',
      config: {},
      state,
      content,
      run: { module, export: 'obey', options: { greeting: '' } },
      configure: undefined,
      port: port2,
    },
    (report) => reports.push(report),
  );
  await serve?.({ id: 1, call: 'close', argument: undefined });
  port1.close();
  return reports;
}

test('a worker takes over the log exactly as its manager closed it', async () => {
  expect((await handOver(() => {}))[0]).toEqual({ kind: 'open' });
  const [refusal] = await handOver((log) => log.append('of another writer'));
  expect(refusal).toMatchObject({ kind: 'unopened', error: { code: 'WAL_STATE', facts: { state: 'changed' } } });
});

test('any thrown value reaches another thread as an error', () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const odd = [
    undefined,
    Object.create(null),
    revoked.proxy,
    Object.defineProperty(new Error('odd'), 'message', { get: () => expect.unreachable() }),
    Object.assign(new Error('odd'), { name: Symbol('odd') }),
  ];
  for (const thrown of odd) expect(errorFromTransfer(errorToTransfer(thrown))).toBeInstanceOf(Error);
});
