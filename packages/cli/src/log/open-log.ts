import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import type { Context } from '../context.js';
import { Progress } from '../output/progress.js';
import { decodingOf, type KeyOptions } from './options.js';
import type { LogTarget } from './target.js';

/** The configuration for a log of a target: nothing is created, and the keys are those of `--key-file`. */
export async function configOf(
  { directory, coreId }: LogTarget,
  options: KeyOptions,
  context: Context,
): Promise<SegmentedWalConfig> {
  return {
    directory,
    create: false,
    signal: context.signal,
    ...(coreId === undefined ? {} : { coreId }),
    ...(await decodingOf(options)),
  };
}

/** Opens a log as it is now, without a lock and without changing anything, and closes it behind `use`. */
export async function withReadonly<T>(
  target: LogTarget,
  options: KeyOptions,
  context: Context,
  use: (wal: SegmentedWal) => Promise<T> | T,
): Promise<T> {
  const progress = new Progress(context.err);
  let wal: SegmentedWal;
  try {
    const config = await configOf(target, options, context);
    wal = await SegmentedWal.open({ ...config, recoveryMode: 'readonly', onProgress: progress.show });
  } finally {
    progress.clear();
  }
  try {
    return await use(wal);
  } finally {
    await wal.close();
  }
}
