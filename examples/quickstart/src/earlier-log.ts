import { existsSync, readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { FileName, isFreeFileName, parseSegmentFileName } from '@walstack/codec';
import { Wal, WalError } from '@walstack/wal';
import { UsageError } from './arguments.js';

const OTHER_NAMES: readonly string[] = [...Object.values(FileName), `${FileName.lock}.takeover`];

const belongsToLog = (name: string): boolean =>
  parseSegmentFileName(name) !== undefined || isFreeFileName(name) || OTHER_NAMES.includes(name);

/**
 * Removes the log of an earlier quickstart. A directory with anything else in it is left alone.
 *
 * @throws {UsageError}, `WAL_LOCKED`
 */
export async function removeEarlierLog(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  if (!statSync(directory).isDirectory()) throw new UsageError(`${directory} is not a directory`);
  const stranger = readdirSync(directory).find((name) => !belongsToLog(name));
  if (stranger !== undefined) {
    throw new UsageError(`${directory} holds ${stranger}, which is not part of a log: use another directory`);
  }
  await refuseHeld(directory);
  await rm(directory, { recursive: true });
}

/** Other damage of the log does not matter, since it is removed. */
async function refuseHeld(directory: string): Promise<void> {
  try {
    const wal = await Wal.open(directory, { create: false });
    await wal.close();
  } catch (error) {
    if (WalError.is(error, 'WAL_LOCKED')) throw error;
  }
}
