import { join } from 'node:path';
import { WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { type IoRoutine, ioSteps, runAsync, type StorageIo } from '@walstack/storage-io';

/**
 * Opens a log, and aborts that: in a turn of the event loop, or, where the call blocks, when everything was read.
 *
 * @param turns - of the event loop, up to the one in which it is aborted
 * @param isSteady - whether what is read once is read again: not behind a sync that failed, whose bytes the cache may give up
 * @returns whether it was open before that
 * @throws an error when the files of the log are others behind an opening that was aborted
 */
export async function openAborted(
  io: StorageIo,
  options: SegmentedWalConfig & { readonly directory: string },
  blocks: boolean,
  turns: number,
  isSteady: boolean,
): Promise<boolean> {
  const before = await runAsync(io, filesIn(io, options.directory));
  const controller = new AbortController();
  const { signal } = controller;
  try {
    if (blocks) SegmentedWal.openSync({ ...options, signal, onProgress: () => controller.abort() });
    else {
      void abortIn(turns, controller);
      await SegmentedWal.open({ ...options, signal });
    }
    return true;
  } catch (error) {
    if (!WalError.is(error, 'WAL_ABORTED')) throw error;
  }
  if (!isSteady) return false;
  const after = await runAsync(io, filesIn(io, options.directory));
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
    (name) => before.get(name) !== after.get(name),
  );
  if (changed.length > 0) throw new Error(`an opening that was aborted has changed ${changed.join(', ')}`);
  return false;
}

async function abortIn(turns: number, controller: AbortController): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
  controller.abort();
}

/** The contents of the files of a log but its lock, by their names. */
function* filesIn(io: StorageIo, directory: string): IoRoutine<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const name of namesIn(io, directory)) {
    const file = io.open(join(directory, name), { readOnly: true });
    try {
      const bytes = Buffer.alloc(io.size(file));
      yield* ioSteps.read(io, file, bytes, 0);
      files.set(name, bytes.toString('latin1'));
    } finally {
      io.close(file);
    }
  }
  return files;
}

function namesIn(io: StorageIo, directory: string): string[] {
  try {
    return io.list(directory).filter((name) => !name.startsWith('LOCK') && name !== 'quarantine');
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return [];
    throw error;
  }
}
