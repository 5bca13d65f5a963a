import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { ReadFile } from '../src/windows/read-file.js';
import { makeSegment } from './support/segments.js';

it('a file that was a segment, and is overwritten or cut by now, is not the one with the id', () => {
  const { bytes, header } = makeSegment({ records: [{ payload: 'a' }] });
  const path = join(temporaryDirectory(), 'file');
  const isIt = (now: Uint8Array): boolean => {
    writeFileSync(path, now);
    const file = new ReadFile(path, false);
    try {
      return file.hasId(header.segmentId);
    } finally {
      file.close();
    }
  };
  const other = makeSegment({ records: [{ payload: 'a' }], number: 2 });
  expect([bytes, other.bytes, bytes.subarray(0, 20), new Uint8Array(512)].map(isIt)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});
