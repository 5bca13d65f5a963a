import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PerCoreWalManager } from '@walstack/percore';
import { KeyRing, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';

const KEY = 'ab'.repeat(32);

/** Makes a log of `records` records in several segments, closed cleanly; the payloads are `event 1`, `event 2` … with padding. */
export async function makeLog(
  directory: string,
  config: Partial<SegmentedWalConfig> = {},
  records = 60,
): Promise<void> {
  const wal = await SegmentedWal.open({
    directory,
    segmentBytes: 8192,
    blockBytes: 512,
    recycleSegments: 0,
    ...config,
  });
  for (let lsn = 1; lsn <= records; lsn++) {
    wal.append(`event ${lsn} ${'.'.repeat(300)}`, { type: lsn % 3 });
    if (lsn % 5 === 0) await wal.sync();
  }
  await wal.close();
}

/** Makes an encrypted log and a file with its key, whose path is returned. */
export async function makeEncryptedLog(directory: string, keyFile: string): Promise<void> {
  writeFileSync(keyFile, JSON.stringify({ current: 1, keys: { 1: KEY } }));
  chmodSync(keyFile, 0o600);
  await makeLog(directory, { keyRing: await KeyRing.fromFile(keyFile) });
}

/** Makes a per-core log with two cores, and some entries of each in two epochs. */
export async function makeCores(directory: string): Promise<void> {
  const manager = await PerCoreWalManager.open({ directory, cores: 2 });
  for (let epoch = 0; epoch < 2; epoch++) {
    for (const coreId of [0, 1]) {
      const writer = manager.writer(coreId);
      writer.appendPut(Buffer.from(`key-${coreId}`), Buffer.from(`value-${epoch}`));
      await writer.sync();
    }
    await manager.endEpoch();
  }
  await manager.close();
}

/** The paths of a log's segments, in order. */
export const segmentsOf = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.seg') && name.startsWith('wal-'))
    .sort()
    .map((name) => join(directory, name));

/** Damages one byte of a record in the segment at an index. */
export function flipByte(directory: string, index: number, text: string): void {
  const path = segmentsOf(directory)[index] as string;
  const bytes = readFileSync(path);
  const at = bytes.indexOf(text);
  if (at < 0) throw new Error(`${path} has no ${text}`);
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(path, bytes);
}

/** Removes the segment at an index. */
export const removeSegment = (directory: string, index: number): void => rmSync(segmentsOf(directory)[index] as string);

/** Every file of a directory with its content, to see that nothing has changed. */
export const contentOf = (directory: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path, readFileSync(path).toString('base64')]),
  );
