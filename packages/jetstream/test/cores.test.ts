import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CoresShipper, compareCores, restoreCores } from '@walstack/jetstream';
import { PerCoreRecovery, PerCoreWalManager } from '@walstack/percore';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { withManager } from './support/logs.js';
import { withoutServer } from './support/nats-servers.js';
import { setUpServer } from './support/set-up.js';

/** The keys of all entries that a recovery of a per-core log returns, and its checkpoint. */
async function recovered(directory: string) {
  const recovery = await PerCoreRecovery.open({ directory });
  const keys: string[] = [];
  for await (const entry of recovery.entries()) {
    if (entry.operation === 'put') keys.push(Buffer.from(entry.key).toString());
  }
  await recovery.close();
  return { keys, checkpointId: recovery.checkpoint?.id };
}

describe.skipIf(withoutServer !== undefined)('a per-core log', () => {
  const { server, closing, nextStream } = setUpServer();
  const openCores = async (directory: string, cores: number | readonly number[]): Promise<PerCoreWalManager> => {
    const manager = await PerCoreWalManager.open({ directory, cores, segmentBytes: 16 * 1024 });
    closing.push(() => manager.close());
    return manager;
  };
  const start = (directory: string, stream: ReturnType<typeof nextStream>): CoresShipper => {
    const shipper = CoresShipper.start(directory, { ...stream, create: true, retryMs: 20 });
    closing.push(() => shipper.close());
    return shipper;
  };
  const put = (manager: PerCoreWalManager, from: number, count: number): void => {
    for (let each = from; each < from + count; each++) {
      const { coreIds } = manager;
      manager.writer(coreIds[each % coreIds.length] as number).appendPut(`key ${each}`, 'value'.repeat(20));
    }
  };

  test('all cores and the manifest are shipped and restored, with what was appended after a checkpoint', async () => {
    const stream = nextStream();
    const directory = join(temporaryDirectory(), 'cores');
    const manager = await openCores(directory, 2);
    const shipper = start(directory, stream);
    put(manager, 0, 300);
    await manager.endEpoch();
    await shipper.replicated(await manager.syncAll());
    const first = join(temporaryDirectory(), 'first');
    expect(await restoreCores(first, stream)).toMatchObject({ cores: [{ coreId: 0 }, { coreId: 1 }] });
    expect((await recovered(first)).keys).toHaveLength(300);

    await manager.checkpoint(async () => {});
    put(manager, 300, 30);
    await shipper.replicated(await manager.syncAll());
    const manifest = readFileSync(join(directory, 'manifest'));
    // That of a checkpoint that has just begun may come before it.
    while (!(await compareCores(directory, stream)).hasManifest) await turns();
    expect(shipper.stats().manifest.published).toBeGreaterThanOrEqual(2);
    expect(shipper.stats()).toMatchObject({ state: 'shipping', cores: [{ coreId: 0 }, { coreId: 1 }] });
    await shipper.close();
    await manager.close();
    const second = join(temporaryDirectory(), 'second');
    expect(await restoreCores(second, stream)).toMatchObject({ checkpointId: 1 });
    expect(Buffer.compare(readFileSync(join(second, 'manifest')), manifest)).toBe(0);
    const { keys, checkpointId } = await recovered(second);
    expect(checkpointId).toBe(1);
    expect(keys.sort()).toEqual((await recovered(directory)).keys.sort());
    expect(await compareCores(directory, stream)).toMatchObject({ agrees: true, hasManifest: true });
    expect((await compareCores(second, stream)).agrees).toBe(true);

    // The restored log goes on, with one core more, in the same streams.
    const again = await openCores(second, 3);
    const next = start(second, stream);
    put(again, 330, 30);
    await next.replicated(await again.syncAll());
    await next.close();
    await again.close();
    const third = join(temporaryDirectory(), 'third');
    const report = await restoreCores(third, stream);
    expect(report.cores.map(({ coreId }) => coreId)).toEqual([0, 1, 2]);
    expect((await recovered(third)).keys).toHaveLength(60);
  });

  test('a log whose entries were all removed by a checkpoint before it was shipped', async () => {
    const stream = nextStream();
    const directory = join(temporaryDirectory(), 'cores');
    const manager = await openCores(directory, 2);
    put(manager, 0, 300);
    await manager.checkpoint(async () => {});
    const shipper = start(directory, stream);
    await shipper.replicated(await manager.positions());
    const restored = join(temporaryDirectory(), 'restored');
    expect(await restoreCores(restored, stream)).toMatchObject({ checkpointId: 1 });
    expect(await recovered(restored)).toMatchObject({ checkpointId: 1, keys: [] });
    put(manager, 300, 10);
    await shipper.replicated(await manager.syncAll());
    await shipper.close();
    const next = join(temporaryDirectory(), 'next');
    await restoreCores(next, stream);
    expect((await recovered(next)).keys).toHaveLength(10);
  });

  test('up to a time before a checkpoint, and streams that satisfy no manifest', async () => {
    const stream = nextStream();
    const directory = join(temporaryDirectory(), 'cores');
    let time = 1_700_000_000_000;
    const manager = await PerCoreWalManager.open({ directory, cores: 2, now: () => ++time });
    closing.push(() => manager.close());
    const shipper = start(directory, stream);
    put(manager, 0, 100);
    await manager.endEpoch();
    await shipper.replicated(await manager.syncAll());
    const before = ++time;
    time += 1000;
    await manager.checkpoint(async () => {});
    put(manager, 100, 10);
    await shipper.replicated(await manager.syncAll());
    // That of a checkpoint that has just begun may come before it.
    while (!(await compareCores(directory, stream)).hasManifest) await turns();
    expect(shipper.stats().manifest.published).toBeGreaterThanOrEqual(2);
    await shipper.close();
    const restored = join(temporaryDirectory(), 'restored');
    expect(await restoreCores(restored, { ...stream, toTimeMs: before })).toMatchObject({ checkpointId: undefined });
    expect((await recovered(restored)).keys).toHaveLength(100);

    await withManager(server.address, (api) => api.streams.delete(`walstack-${stream.log}-1`));
    const failed = restoreCores(join(temporaryDirectory(), 'failed'), stream);
    expect(await rejection(failed)).toMatchObject({ code: 'WAL_CORRUPT', reason: 'manifest' });
    const other = restoreCores(join(temporaryDirectory(), 'none'), { ...stream, log: 'none' });
    expect(await rejection(other)).toMatchObject({ code: 'WAL_NOT_FOUND' });
  });

  test('a copy of a per-core log is fenced as a whole', async () => {
    const stream = nextStream();
    const directory = join(temporaryDirectory(), 'cores');
    const manager = await openCores(directory, 2);
    put(manager, 0, 10);
    const shipper = start(directory, stream);
    await shipper.replicated(await manager.syncAll());
    const copy = join(temporaryDirectory(), 'copy');
    await restoreCores(copy, stream);
    put(manager, 10, 10);
    await shipper.replicated(await manager.syncAll());
    const other = await openCores(copy, 2);
    const second = start(copy, stream);
    put(other, 10, 40);
    const places = await other.syncAll();
    expect(await rejection(second.ended())).toMatchObject({ code: 'WAL_FENCED' });
    expect(second.state).toBe('failed');
    expect((await rejection(second.replicated(places))).code).toBe('WAL_FENCED');
  });
});
