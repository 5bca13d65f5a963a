import type { SegmentHeader } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { countWhile, SegmentList } from '../src/segments/segment-list.js';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY } from './support/logs.js';

/** Segments of ten records each; reads of a segment are counted. */
function listed(count: number) {
  const looks = { count: 0 };
  const segments = Array.from({ length: count }, (_, index): Segment => {
    const header = { number: index + 1, firstLsn: index * 10 + 1 } as SegmentHeader;
    return {
      path: `${index}`,
      end: 100,
      nextLsn: index * 10 + 11,
      get header() {
        looks.count++;
        return header;
      },
    };
  });
  return { segments, looks };
}

const numbers = (segments: { readonly length: number; at(index: number): Segment | undefined }): number[] =>
  Array.from({ length: segments.length }, (_, index) => segments.at(index)?.header.number ?? 0);

describe('a list of segments', () => {
  test('finds the segment of every LSN in as many looks as its length has binary digits', () => {
    const { segments, looks } = listed(1000);
    const list = new SegmentList(segments);
    for (let lsn = 1; lsn <= 10_000; lsn++) {
      looks.count = 0;
      const index = countWhile(list, ({ header }) => header.firstLsn <= lsn) - 1;
      expect(index).toBe(Math.floor((lsn - 1) / 10));
      expect(looks.count).toBeLessThanOrEqual(10);
    }
    expect(countWhile(list, () => false)).toBe(0);
    expect(countWhile(list, () => true)).toBe(1000);
    expect(countWhile(new SegmentList([]), () => true)).toBe(0);
  });

  test('drops its beginning one by one in a number of looks that grows with their binary digits', () => {
    const { segments, looks } = listed(4096);
    const list = new SegmentList(segments);
    for (let number = 1; number <= 4096; number++) expect(list.dropBelow(number + 1)).toHaveLength(1);
    expect(looks.count).toBeLessThanOrEqual(4096 * 13);
    expect(list.length).toBe(0);
    expect([list.first, list.last, list.bytes]).toEqual([undefined, undefined, 0]);
  });

  test('is what an array would be, whatever is done to it, and earlier views do not change', () => {
    const { segments } = listed(400);
    const list = new SegmentList(segments.slice(0, 100));
    let model = segments.slice(0, 100);
    let random = 7;
    const below = (limit: number): number => {
      random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
      return random % limit;
    };
    const views: (() => void)[] = [];
    for (let step = 0; step < 2000; step++) {
      const next = segments[model.at(-1)?.header.number ?? 0] as Segment;
      const choice = below(10);
      if (choice < 5 && (model.at(-1)?.header.number ?? 0) < 399) {
        list.push(next);
        model = [...model, next];
      } else if (choice < 8 && model.length > 0) {
        const number = (model[0] as Segment).header.number + below(4);
        const kept = model.filter(({ header }) => header.number >= number);
        expect(list.dropBelow(number)).toEqual(model.slice(0, model.length - kept.length));
        model = kept;
      } else if (choice === 8 && model.length > 1) {
        list.pop();
        model = model.slice(0, -1);
      } else if (choice === 9 && step % 50 === 0) {
        model = segments.slice(0, 1 + below(100));
        list.replace(model);
      }
      const index = below(model.length + 1);
      const active = below(2) === 0 ? undefined : segments[399];
      const view = list.viewFrom(index, active);
      const expected = numbers([...model.slice(index), ...(active === undefined ? [] : [active])]);
      views.push(() => expect(numbers(view)).toEqual(expected));
      expect(list.length).toBe(model.length);
      expect(list.bytes).toBe(model.length * 100);
      expect([list.first, list.last]).toEqual([model[0], model.at(-1)]);
      expect([list.at(-1), list.at(model.length)]).toEqual([undefined, undefined]);
      expect(list.toArray()).toEqual(model);
    }
    for (const check of views) check();
  });

  test('may be longer than what a call takes as arguments', () => {
    const { segments } = listed(300_000);
    const list = new SegmentList(segments);
    list.replace(segments);
    expect(list.dropBelow(300_000)).toHaveLength(299_999);
  });
});

describe('a log of many segments', () => {
  afterEach(() => vi.restoreAllMocks());

  test('copies a number of references that is proportional to the segments when it drops them', () => {
    const io = createMemoryStorageIo();
    const config = { segmentBytes: 1024, blockBytes: 512, markAfterMs: 0, recycleSegments: 0 };
    const wal = SegmentedWal.openSync({ directory: DIRECTORY, io, ...new TestEnvironment().options, ...config });
    for (let record = 0; record < 600; record++) {
      wal.append(new Uint8Array(400));
      wal.syncSync();
    }
    const { segments } = wal.stats();
    expect(segments).toBe(600);
    let copied = 0;
    for (const name of ['slice', 'concat', 'filter', 'splice'] as const) {
      const original = Array.prototype[name] as (...args: unknown[]) => unknown[];
      vi.spyOn(Array.prototype, name).mockImplementation(function (this: unknown[], ...args: unknown[]) {
        const result = original.apply(this, args);
        copied += result.length;
        return result as never;
      });
    }
    const result = wal.truncateBeforeSync(500);
    const total = copied;
    vi.restoreAllMocks();
    expect(result.segmentsDeleted).toBe(499);
    expect(total).toBeLessThan(20 * segments);
    wal.closeSync();
  });
});
