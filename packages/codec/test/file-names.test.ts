import { FileName, isCoreDirectoryName, isFreeFileName, parseSegmentFileName, segmentFileName } from '@walstack/codec';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';
import { readVectors } from './support.js';

interface NameVector {
  readonly segmentNumber: number | null;
  readonly firstLsn: number | null;
  readonly name: string;
}

const vectors = readVectors<NameVector>('file-names.json');
const names = vectors.filter(({ segmentNumber }) => segmentNumber !== null);
const others = vectors.filter(({ segmentNumber }) => segmentNumber === null);

describe('names of segment files', () => {
  it.each(names)('$name', ({ segmentNumber, firstLsn, name }) => {
    expect(segmentFileName(segmentNumber as number, firstLsn as number)).toBe(name);
    expect(parseSegmentFileName(name)).toEqual({ name, number: segmentNumber, firstLsn });
  });

  it.each(others)('are not: "$name"', ({ name }) => {
    expect(parseSegmentFileName(name)).toBeUndefined();
  });

  it('are not those with an LSN beyond the safe integers', () => {
    expect(parseSegmentFileName('wal-0000000001-09007199254740992000.seg')).toBeUndefined();
    expect(parseSegmentFileName('wal-0000000001-00009007199254740992.seg')).toBeUndefined();
  });

  it('sort in the order of the chain', () => {
    const chain = [
      [1, 1],
      [2, 9],
      [9, 10],
      [10, 11],
      [99, 12],
      [100, 2 ** 40],
    ] as const;
    const sorted = chain.map(([number, lsn]) => segmentFileName(number, lsn));
    expect([...sorted].reverse().sort()).toEqual(sorted);
  });

  it('are not made of numbers that have no place in them', () => {
    for (const wrong of [0, -1, 1.5, Number.NaN, 10_000_000_000]) {
      expect(codeOf(() => segmentFileName(wrong, 1))).toBe('ERR_OUT_OF_RANGE');
    }
    for (const wrong of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
      expect(codeOf(() => segmentFileName(1, wrong))).toBe('ERR_OUT_OF_RANGE');
    }
    expect(codeOf(() => segmentFileName('1' as never, 1))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => segmentFileName(1, '1' as never))).toBe('ERR_INVALID_ARG_TYPE');
  });
});

describe('other names in a log', () => {
  it('are those of the format', () => {
    expect(FileName).toMatchObject({
      lock: 'LOCK',
      checkpoint: 'checkpoint',
      nextSegment: 'next.seg',
      quarantine: 'quarantine',
    });
  });

  it('free files', () => {
    for (const name of ['free-0.seg', 'free-1.seg', 'free-123456.seg']) expect(isFreeFileName(name)).toBe(true);
    for (const name of ['free-.seg', 'free-x.seg', 'free-1.segx', 'xfree-1.seg', 'free-1', '', 'free--1.seg']) {
      expect(isFreeFileName(name)).toBe(false);
    }
  });

  it("directories of a core's log", () => {
    for (const name of ['core-0', 'core-63']) expect(isCoreDirectoryName(name)).toBe(true);
    for (const name of ['core-', 'core-x', 'core-1x', 'xcore-1', '']) expect(isCoreDirectoryName(name)).toBe(false);
  });
});
