import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FileName, parseSegmentFileName, type SegmentName, segmentFileName } from '@walstack/codec';
import { onDisk, type SegmentPlace, syncDirectory } from '../restore/segment-files.js';
import { headerOf } from '../ship/source.js';

/** The segment files in a directory, in order. */
export async function segmentNames(directory: string): Promise<readonly SegmentName[]> {
  const names = (await readdir(directory)).flatMap((name) => parseSegmentFileName(name) ?? []);
  return names.sort((one, other) => one.number - other.number);
}

/**
 * Ends a cut of the log that a crash has interrupted in a replica: the segment where it goes on has the name of a draft, and those that it is in
 * place of may be there.
 *
 * @param place - the stored one, with that segment
 */
export async function finishCut(directory: string, { segment }: SegmentPlace): Promise<void> {
  const draft = join(directory, FileName.nextSegment);
  const names = await segmentNames(directory);
  if (names.some(({ number }) => number === segment) || !existsSync(draft)) return;
  const { number, firstLsn } = headerOf(draft);
  if (number !== segment) return;
  for (const { name } of names.filter((each) => each.firstLsn >= firstLsn).reverse()) {
    const removed = join(directory, name);
    await onDisk('remove', removed, () => rm(removed));
  }
  const path = join(directory, segmentFileName(number, firstLsn));
  await onDisk('rename', path, () => rename(draft, path));
  await syncDirectory(directory);
}
