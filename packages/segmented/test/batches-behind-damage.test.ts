import { describe, expect, test } from 'vitest';
import { changed, flip, restore, snapshot } from './support/files.js';
import {
  damageAt,
  type FoundFrame,
  forgedHeaders,
  framesIn,
  makeBatches,
  ONE_SEGMENT,
  salvagedOf,
  skipCorrupt,
} from './support/hole-logs.js';
import { DIRECTORY } from './support/logs.js';

const FLAGS = 26;
const PAYLOAD = 32;

describe('a long record whose flags are damaged, and one more byte', () => {
  // The checksum differs as if only one byte, another one, were damaged.
  test.each([
    [30_000, 89, 0x10],
    [30_000, 184, 0x80],
    [30_000, 185, 0x33],
    [70_000, 43, 0x33],
    [70_000, 83, 0x5a],
    [70_000, 132, 0x33],
  ])('of %i bytes, at %i: the rest of its batch is not returned', (length, at, mask) => {
    const files = makeBatches([['1'], ['2'], ['3'], ['4'.repeat(length), '5', '6'], ['7'], ['8']]);
    expect(salvagedOf(damageAt(files, 4, [FLAGS, 1], [PAYLOAD + at, mask]))).toEqual({
      there: [1, 2, 3, 7, 8, 9],
      lost: [4, 5, 6],
    });
  });
});

test('one damaged byte of 1 KiB, and one damaged bit of 32 KiB, cost the record alone, and its flags are restored', () => {
  for (const [length, mask] of [
    [990, 0x5a],
    [32_700, 0x10],
  ] as const) {
    const files = makeBatches([['1'], ['2'], ['3'.repeat(length)], ['4', '5'], ['6'.repeat(length), '7'], ['8']]);
    for (const offset of [4, 12, 16, FLAGS, 28, PAYLOAD + 1, PAYLOAD + length - 1]) {
      expect(salvagedOf(damageAt(files, 3, [offset, mask])).lost).toEqual([3]);
      expect(salvagedOf(damageAt(files, 6, [offset, mask])).lost).toEqual([6, 7]);
    }
    expect(salvagedOf(damageAt(files, 6, [FLAGS, 1])).lost).toEqual([6, 7]);
  }
});

test('of a longer record neither is believed: what is behind it is given up with it', () => {
  const files = makeBatches([['1'], ['2'], ['3'.repeat(33_000)], ['4', '5'], ['6']]);
  expect(salvagedOf(damageAt(files, 3, [5000, 0x10])).lost).toEqual([3, 4, 5]);
});

describe('a payload that has headers of its own record', () => {
  const attempts = Array.from({ length: 20 }, (_, index) => index);

  test('does not make a part of its batch believed, where it is the only one that is lost', () => {
    const files = makeBatches([['1'], ['2'], ['3'], [forgedHeaders(65_536, 4), '5', '6'], ['7'], ['8']]);
    for (const index of attempts) {
      const changes = [
        [40 + 31 * index, 1 + index],
        [5000 + 37 * index, 0x5a + index],
      ] as const;
      expect(salvagedOf(damageAt(files, 4, ...changes)).there).toEqual([1, 2, 3, 7, 8, 9]);
    }
  });

  test('nor where several are', () => {
    const files = makeBatches([['1'], ['2'], ['3', forgedHeaders(65_536, 4), '5', '6'], ['7'], ['8']]);
    for (const index of attempts) {
      const first = damageAt(files, 3, [PAYLOAD, 7]);
      const changes = [
        [40 + 31 * index, 1 + index],
        [5000 + 37 * index, 0x5a + index],
      ] as const;
      expect(salvagedOf(damageAt(first, 4, ...changes)).there).toEqual([1, 2, 7, 8, 9]);
    }
  });

  test('does not cost what is behind a single damaged bit of it', () => {
    const files = makeBatches([['1'], ['2'], ['3'], [forgedHeaders(16_384, 4)], ['5', '6'], ['7'], ['8']]);
    expect(salvagedOf(damageAt(files, 4, [5000, 1])).lost).toEqual([4]);
  });
});

test.each([
  ['', '4'],
  [' that ends before the last bytes of a block', '4'.repeat(508 - 33 - 33 - 33 - 32)],
])('a damaged byte of a hole%s costs nothing that is behind it', (_, third) => {
  const files = makeBatches([['1'], ['2', '3', third], ['5', '6', '7', '8'], ['9']]);
  expect(framesIn(files).find(({ lsn }) => lsn === 5)?.start).toBe(third === '4' ? 644 : 1024);
  const io = restore(damageAt(files, 3, [PAYLOAD, 1]));
  skipCorrupt(io, ONE_SEGMENT).closeSync();
  const salvaged = snapshot(io, DIRECTORY);
  const { name, start, end } = framesIn(salvaged).find(({ lsn, isHole }) => lsn === 2 && isHole) as {
    name: string;
    start: number;
    end: number;
  };
  expect(end).toBe(third === '4' ? 644 : 1020);
  for (let at = start; at < end; at++) {
    // Its length, LSN and everything else of it.
    for (const mask of [1, 0xff]) {
      const { there, lost } = salvagedOf(changed(salvaged, name, flip(at, mask)));
      expect([at - start, there, lost]).toEqual([at - start, [1, 5, 6, 7, 8, 9, 10], [2, 3, 4]]);
    }
  }
  // Its checksum proves it also where both its length and its LSN are damaged.
  const twice = changed(changed(salvaged, name, flip(start)), name, flip(start + 8));
  expect(salvagedOf(twice).lost).toEqual([2, 3, 4]);
});

test('a damaged byte of a hole before padding of any length costs nothing that is behind it', () => {
  // Behind the second batch no other one has room in what is written at a time.
  const files = makeBatches([['1'.repeat(980_000)], ['2', '3', '4'.repeat(60_000)], ['5', '6'.repeat(60_000)], ['7']], {
    padGroups: true,
  });
  const io = restore(damageAt(files, 3, [PAYLOAD, 1]));
  skipCorrupt(io, ONE_SEGMENT).closeSync();
  const salvaged = snapshot(io, DIRECTORY);
  const frames = framesIn(salvaged);
  const { name, start, end } = frames.find(({ lsn, isHole }) => lsn === 2 && isHole) as FoundFrame;
  const behind = frames.find(({ lsn }) => lsn === 5) as FoundFrame;
  expect(behind.start - end).toBeGreaterThan(8);
  for (let at = 0; at < 40; at++) {
    for (const mask of [1, 0xff]) {
      const { there, lost } = salvagedOf(changed(salvaged, name, flip(start + at, mask)));
      expect([at, there, lost]).toEqual([at, [1, 5, 6, 7, 8], [2, 3, 4]]);
    }
  }
});

test('a damaged length of a record before padding of any length costs nothing that is behind it', () => {
  const files = makeBatches([['1'.repeat(980_000)], ['2'.repeat(60_000)], ['3', '4'.repeat(60_000)], ['5']], {
    padGroups: true,
  });
  for (let at = 0; at < 4; at++) {
    for (const mask of [1, 0xff]) expect(salvagedOf(damageAt(files, 2, [at, mask])).lost).toEqual([2]);
  }
});
