import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Everything in a store: keys and values. */
export type Entries = readonly (readonly [key: string, value: unknown])[];

const NAME = /^snapshot-(\d+)\.json$/;

const nameOf = (lsn: number): string => `snapshot-${lsn}.json`;

/** Writes what a store contains up to an LSN; the file and its name are durable on return. */
export async function writeSnapshot(directory: string, lsn: number, entries: Entries): Promise<void> {
  const path = join(directory, nameOf(lsn));
  const draft = `${path}.new`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify(entries));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  await syncDirectory(directory);
}

/** Reads the snapshot of an LSN. @throws when there is none */
export async function readSnapshot(directory: string, lsn: number): Promise<Entries> {
  return JSON.parse(await readFile(join(directory, nameOf(lsn)), 'utf8')) as Entries;
}

/** Removes every snapshot but that of an LSN, and what a crash has left of one. */
export async function removeOtherSnapshots(directory: string, lsn: number): Promise<void> {
  for (const name of await readdir(directory)) {
    if (NAME.test(name.replace(/\.new$/, '')) && name !== nameOf(lsn)) await rm(join(directory, name));
  }
}

async function syncDirectory(directory: string): Promise<void> {
  // On Windows, where this is not possible, the file system makes names durable in order.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
