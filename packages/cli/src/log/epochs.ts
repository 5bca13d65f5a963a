import { basename, dirname } from 'node:path';
import { isCoreDirectoryName, WalError } from '@walstack/codec';
import { PerCoreWalReader } from '@walstack/percore';
import { decodingOf, type KeyOptions } from './options.js';
import type { LogTarget } from './target.js';

/** What the entries of one core say about epochs. */
export interface CoreEpochs {
  readonly entries: number;
  /** The highest epoch of an entry; 0 without entries. */
  readonly lastEpoch: number;
  /** The last epoch that ends in this log. */
  readonly barrierEpoch: number;
}

/** So often a log is read anew when its writer has removed what was to be read next. */
const ATTEMPTS = 5;

/** Reads the entries of one core beside its writer; `undefined` for what is no log of a core, or one under another name. */
export async function epochsOf({ directory, coreId }: LogTarget, options: KeyOptions): Promise<CoreEpochs | undefined> {
  if (coreId === undefined || !isCoreDirectoryName(basename(directory))) return undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      return await readEpochs(directory, coreId, options);
    } catch (error) {
      if (!WalError.is(error, 'WAL_TRUNCATED') || attempt === ATTEMPTS) throw error;
    }
  }
}

async function readEpochs(directory: string, coreId: number, options: KeyOptions): Promise<CoreEpochs> {
  const reader = await PerCoreWalReader.open(coreId, dirname(directory), await decodingOf(options));
  let entries = 0;
  let lastEpoch = 0;
  let barrierEpoch = 0;
  try {
    while (await reader.advance()) {
      for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
        entries++;
        lastEpoch = Math.max(lastEpoch, entry.epoch);
        if (entry.operation === 'epochBarrier') barrierEpoch = entry.epoch;
      }
    }
  } finally {
    await reader.close();
  }
  return { entries, lastEpoch, barrierEpoch };
}
