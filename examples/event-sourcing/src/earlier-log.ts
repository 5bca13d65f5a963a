import { existsSync } from 'node:fs';
import { Wal, WalError } from '@walstack/wal';

/**
 * Refuses a directory that is no log of an earlier run, before anything is removed.
 *
 * @throws `WAL_FOREIGN_DIRECTORY`; `WAL_LOCKED` for the log of a run that goes on
 */
export async function checkEarlierLog(path: string): Promise<void> {
  if (!existsSync(path)) return;
  try {
    const wal = await Wal.open(path, { create: false });
    await wal.shutdown();
  } catch (error) {
    // A log that is damaged, or was not begun, is removed as others are.
    if (!WalError.is(error, 'WAL_CORRUPT') && !WalError.is(error, 'WAL_NOT_FOUND')) throw error;
  }
}
