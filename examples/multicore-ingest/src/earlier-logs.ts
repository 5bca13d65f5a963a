import { existsSync, readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { FileName, isCoreDirectoryName } from '@walstack/codec';
import { UsageError } from './arguments.js';

const OTHER_NAMES: readonly string[] = [FileName.lock, `${FileName.lock}.takeover`, 'manifest', 'manifest.new'];

/** Removes the logs of an earlier run. A directory with anything else in it is left alone. @throws {UsageError} */
export async function removeEarlierLogs(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  if (!statSync(directory).isDirectory()) throw new UsageError(`${directory} is not a directory`);
  const stranger = readdirSync(directory).find((name) => !isCoreDirectoryName(name) && !OTHER_NAMES.includes(name));
  if (stranger !== undefined) {
    throw new UsageError(`${directory} holds ${stranger}, which is not part of a log: use another directory`);
  }
  await rm(directory, { recursive: true });
}
