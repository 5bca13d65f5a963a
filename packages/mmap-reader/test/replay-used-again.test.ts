import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSegmentHeader, encodeSegmentHeader, sealFrames, segmentSeed } from '@walstack/codec';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { makeSegment, writeSegments } from './support/segments.js';

/** Replays a directory with workers, and puts another life into the first file at the first record. */
const PROGRAM = `
  import { readFileSync, openSync, writeSync } from 'node:fs';
  import { setTimeout } from 'node:timers/promises';
  import { replayDirectory } from '@walstack/mmap-reader';
  const [directory, first, life] = process.argv.slice(1);
  const next = readFileSync(life);
  const found = {};
  let failure;
  let count = 0;
  try {
    await replayDirectory(directory, { workers: 2, copy: true }).forEach(async ({ payload }) => {
      const kind = String.fromCharCode(payload[0]);
      found[kind] = (found[kind] ?? 0) + 1;
      if (count++ > 0) return;
      // Time for the workers to come to the end, which is no matter to what is right.
      await setTimeout(300);
      writeSync(openSync(first, 'r+'), next, 0, next.length, 0);
    });
  } catch (error) {
    failure = error.code;
  }
  console.log(JSON.stringify({ found, failure }));
`;

/** The same segment in another life: another id, and other payloads in the same places. */
function nextLife(bytes: Uint8Array, blockBytes: number, end: number): Uint8Array {
  const header = decodeSegmentHeader(bytes.subarray(0, 128), 'x');
  const segmentId = header.segmentId.map((byte) => byte ^ 0xff);
  const next = Uint8Array.from(bytes);
  for (let at = blockBytes; at < end; at++) if (next[at] === 97) next[at] = 98;
  encodeSegmentHeader(next.subarray(0, blockBytes), { ...header, segmentId });
  sealFrames(next, blockBytes, end, blockBytes, blockBytes, segmentSeed(segmentId));
  return next;
}

describe.each([
  ['with the addon', '1'],
  ['without it', '0'],
])('a file that gets a new life while workers look ahead, %s', (_name, native) => {
  it('returns no record of that', () => {
    const directory = temporaryDirectory();
    // Longer than a window.
    const records = Array.from({ length: 2000 }, () => ({ payload: 'a'.repeat(10_000) }));
    const first = makeSegment({ records, blockBytes: 4096 });
    const predecessor = { number: 1, id: first.header.segmentId };
    const second = makeSegment({ number: 2, firstLsn: 2001, predecessor, records: [{ payload: 'z' }] });
    const [path] = writeSegments(directory, [first, second]);
    const life = join(temporaryDirectory(), 'next');
    writeFileSync(life, nextLife(first.bytes, 4096, first.end));
    const args = ['--input-type=module', '--eval', PROGRAM, directory, path as string, life];
    const env = { ...process.env, WALSTACK_NATIVE: native };
    const output = execFileSync(process.execPath, args, { env, encoding: 'utf8', cwd: import.meta.dirname });
    const { found } = JSON.parse(output) as { found: Record<string, number> };
    // A mapping shows what stands in the file, and its lock keeps writers off: only without one is it to be held against.
    if (native === '0') expect(found).not.toHaveProperty('b');
    expect(found['a']).toBeGreaterThan(0);
  });
});
