import { join } from 'node:path';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { CoresShipper, LogReplica } from '@walstack/jetstream';
import { PerCoreWalManager } from '@walstack/percore';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { commitMany } from './support/logs.js';
import { withoutServer } from './support/nats-servers.js';
import { setUpShipping } from './support/set-up.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe.skipIf(withoutServer !== undefined)('waiting for what is replicated', () => {
  const { closing, nextOptions, streamOf, openLog, start } = setUpShipping();

  test.each([
    ['an open log without records', false, false],
    ['an open log without records, shipped before', false, true],
    ['a directory of a log without records', true, false],
    ['a directory of a log without records, shipped before', true, true],
  ])('ends for %s', async (_, isDirectory, isShipped) => {
    const options = nextOptions();
    const wal = await openLog({ segmentBytes: 4096, blockBytes: 512 });
    await commitMany(wal, 90);
    if (isShipped) {
      const shipper = start(wal, options);
      await shipper.replicated(90);
      await shipper.close();
    }
    await wal.truncateBefore(91);
    expect(wal.firstLsn).toBe(91);
    const shipper = start(isDirectory ? wal.directory : wal, options);
    await shipper.replicated(90);
    await shipper.replicated(90);
    expect(shipper.replicatedLsn).toBe(90);
    if (!isDirectory) expect(shipper.stats()).toMatchObject({ lagRecords: 0, lagBytes: 0 });
    await wal.commit('next');
    await shipper.replicated(91);
    expect(shipper.stats().records).toBe(1);
  });

  test('ends for a replica that has the record from before', async () => {
    const options = nextOptions();
    const wal = await openLog();
    await commitMany(wal, 30);
    await start(wal, options).replicated(30);
    const directory = join(temporaryDirectory(), 'replica');
    for (const _ of ['first', 'next']) {
      const replica = LogReplica.start(directory, streamOf(options));
      closing.push(() => replica.close());
      await replica.reached(30);
      await replica.close();
    }
  });

  test('leaves no other rejection behind when a core is not shipped any more', async () => {
    const directory = join(temporaryDirectory(), 'cores');
    const manager = await PerCoreWalManager.open({ directory, cores: 1 });
    closing.push(() => manager.close());
    const { connection, log } = nextOptions();
    const shipper = CoresShipper.start(directory, { connection, log, create: true });
    await shipper.replicated(await manager.syncAll());
    await shipper.close();
    const places = [0, 1].map((coreId) => ({ coreId, durableLsn: 1_000_000 }));
    const rejections: unknown[] = [];
    const listen = (reason: unknown): void => void rejections.push(reason);
    process.on('unhandledRejection', listen);
    expect(await rejection(shipper.replicated(places))).toMatchObject({ code: 'WAL_CLOSED' });
    await turns();
    process.off('unhandledRejection', listen);
    expect(rejections).toEqual([]);
  });

  test('keeps no records in memory that are replicated, also behind a cut', async () => {
    const options = nextOptions();
    const wal = await openLog({ segmentBytes: 1024 * 1024 });
    const shipper = start(wal, options);
    const shipped = async (): Promise<number> => {
      for (let each = 0; each < 150; each++) await wal.commit(Buffer.alloc(100_000, each));
      await shipper.replicated(wal.lastLsn);
      collectGarbage();
      await turns();
      collectGarbage();
      return process.memoryUsage().arrayBuffers;
    };
    const before = await shipped();
    await wal.commit('one more');
    await shipper.replicated(151);
    await wal.truncateAfter(1);
    expect((await shipped()) - before).toBeLessThan(5_000_000);
  });
});
