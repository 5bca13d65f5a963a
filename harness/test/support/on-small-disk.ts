import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe } from 'vitest';
import { SmallDisk, whyNoSmallDisk } from '../../src/torture/disks/small-disk.js';

/** Describes tests on a real file system of 8 MiB, a new one for each test. They are skipped where none can be made: that needs root. */
export async function onSmallDisk(tests: (disk: () => SmallDisk) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'walstack-small-disk-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const why = await whyNoSmallDisk(folder);
  const name = `on an ext4 of 8 MiB${why === undefined ? '' : ` (skipped: ${why})`}`;
  let disk: SmallDisk;
  describe.skipIf(why !== undefined)(name, () => {
    beforeEach(() => {
      disk = new SmallDisk(folder, 'disk');
    });

    afterEach(() => disk[Symbol.asyncDispose]());

    tests(() => disk);
  });
}

/** A payload of 3,000 bytes that shows which LSN it has. */
export const payload = (lsn: number): Uint8Array => new Uint8Array(3000).fill(lsn % 251);
