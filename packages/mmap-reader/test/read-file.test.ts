import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { ReadFile } from '../src/windows/read-file.js';

const MEBIBYTE = 1024 * 1024;

it.each([true, false])(
  'a window holds the stretch that it was asked for, in whatever order they are read (kept: %s)',
  (keeps) => {
    const path = join(temporaryDirectory(), 'file');
    const bytes = new Uint8Array(40 * MEBIBYTE);
    for (let at = 0; at < bytes.length; at += 65_536) bytes[at] = at / 65_536;
    writeFileSync(path, bytes);
    const file = new ReadFile(path, keeps);
    const stretches = [
      [35 * MEBIBYTE, 10],
      [1 * MEBIBYTE, 10],
      [15 * MEBIBYTE, 4 * MEBIBYTE],
      [20 * MEBIBYTE, 0],
      [0, 1],
      [35 * MEBIBYTE, 1],
    ] as const;
    for (const [position, needed] of [...stretches, ...stretches.toReversed()]) {
      const window = file.window(position, needed);
      expect(window.base).toBeLessThanOrEqual(position);
      expect(window.base + window.length).toBeGreaterThanOrEqual(position + needed);
      expect(window.bytes[position - window.base]).toBe((position / 65_536) % 256);
    }
    file.close();
  },
);
