import { CoreWalWriter, type PerCoreWalConfig, PerCoreWalManager } from '@walstack/percore';
import { ioSteps, runAsync, type StorageIo } from '@walstack/storage-io';

/** Where per-core logs in memory are. */
export const DIRECTORY = '/log';

/** Options under which a log soon has several segments. */
export const SMALL = { blockBytes: 512, segmentBytes: 4096 } as const;

/** Opens a small log with its manager. */
export const open = (
  io: StorageIo,
  cores: PerCoreWalConfig['cores'],
  more: Partial<PerCoreWalConfig> = {},
): Promise<PerCoreWalManager> => PerCoreWalManager.open({ directory: DIRECTORY, cores, io, ...SMALL, ...more });

/** Opens the small log of one core without a manager. */
export const openStandalone = (io: StorageIo, coreId: number, more: object = {}): Promise<CoreWalWriter> =>
  CoreWalWriter.open(coreId, DIRECTORY, { io, ...SMALL, ...more });

/** Three complete epochs behind a checkpoint of the first one, in a log with two cores; puts are `epoch/core`. Closes it. */
export async function writeEpochs(manager: PerCoreWalManager): Promise<void> {
  for (let epoch = 1; epoch <= 4; epoch++) {
    for (const core of [0, 1]) manager.writer(core).appendPut(`${epoch}/${core}`, 'x'.repeat(1200));
    manager.writer(1).appendCommit({ source: epoch });
    if (epoch === 1) await manager.checkpoint(() => {});
    else await manager.endEpoch();
  }
  await manager.close();
}

/** Inverts a bit of the key of a put. */
export async function damage(io: StorageIo, coreId: number, key: string): Promise<void> {
  const directory = `${DIRECTORY}/core-${coreId}`;
  for (const name of io.list(directory).filter((each) => each.startsWith('wal-'))) {
    const file = io.open(`${directory}/${name}`);
    const bytes = new Uint8Array(io.size(file));
    await runAsync(io, ioSteps.read(io, file, bytes, 0));
    const at = Buffer.from(bytes).indexOf(key);
    if (at !== -1) {
      bytes[at] = (bytes[at] as number) ^ 1;
      await runAsync(io, ioSteps.write(io, file, bytes.subarray(at, at + 1), at));
      await runAsync(io, ioSteps.datasync(io, file));
    }
    io.close(file);
    if (at !== -1) return;
  }
  throw new Error(`${key} is not in the log of core ${coreId}`);
}
