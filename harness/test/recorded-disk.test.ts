import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Honours, type Piece, RecordedDisk, type RecordedWrite } from '../src/powercut/cut/recorded-disk.js';
import { SparseImage } from '../src/powercut/cut/sparse-image.js';
import { survivorsOf, withWholeBlocks } from '../src/powercut/cut/survivors.js';
import { type DiskEvent, decodeEvent, encodeEvent, SECTOR_BYTES } from '../src/powercut/record/events.js';
import { Random } from '../src/random.js';
import { temporaryDirectory } from '../test-kit/temporary-directory.js';

const SECTORS = 4 * 128;

/** Sectors of each write hold its letter. */
const LETTERS = 'abcdefgh';

const write = (id: number, sector: number, sectors = 1, fua = false): DiskEvent => {
  return { what: 'write', id, sector, sectors, fua, offset: id };
};
const flush = (id: number): DiskEvent => ({ what: 'flush', id });
const done = (id: number): DiskEvent => ({ what: 'done', id });

const all = (writes: readonly RecordedWrite[]): Piece[] =>
  writes.map((each) => ({ write: each, from: 0, count: each.sectors }));

/** What the first sectors hold when the power is cut after these events, one letter each. */
function afterCut(
  events: readonly DiskEvent[],
  survivors: (writes: readonly RecordedWrite[]) => readonly Piece[],
  honours?: Honours,
): string {
  const folder = temporaryDirectory();
  const base = join(folder, 'base');
  writeFileSync(base, Buffer.alloc(SECTOR_BYTES, '.'));
  truncateSync(base, SECTORS * SECTOR_BYTES);
  const image = SparseImage.open(base);
  onTestFinished(() => image.close());
  const bytesAt = (id: number, length: number): Uint8Array => Buffer.alloc(length, LETTERS[id]);
  const disk = new RecordedDisk(events, bytesAt, image, honours);
  disk.advance(events.length);
  const cut = join(folder, 'cut');
  disk.cut(cut, survivors(disk.volatile));
  const bytes = readFileSync(cut);
  expect(bytes.length).toBe(SECTORS * SECTOR_BYTES);
  return Array.from({ length: 8 }, (_, sector) => {
    const first = bytes[sector * SECTOR_BYTES] as number;
    return first === 0 ? ' ' : String.fromCharCode(first);
  })
    .join('')
    .trimEnd();
}

const nothing = (): Piece[] => [];

test('what was written and not flushed survives by chance only, in flight or done', () => {
  const events = [write(0, 0), done(0), write(1, 1)];
  expect(afterCut(events, nothing)).toBe('.');
  expect(afterCut(events, all)).toBe('ab');
});

test('a flush makes durable what was done before it was submitted, and nothing else', () => {
  const events = [write(0, 0), done(0), write(1, 1), flush(2), write(3, 3), done(1), done(3), done(2)];
  expect(afterCut(events, nothing)).toBe('a');
  expect(afterCut(events.slice(0, -1), nothing)).toBe('.');
  expect(afterCut(events, all)).toBe('ab d');
});

test('a write with FUA is durable once it is done', () => {
  const events = [write(0, 0, 2, true), write(1, 2, 1, true), done(1)];
  expect(afterCut(events, nothing)).toBe('. b');
});

test('an earlier write never covers a later one that is durable', () => {
  const events = [write(0, 0, 3), done(0), write(1, 1, 1, true), done(1)];
  expect(afterCut(events, nothing)).toBe('.b');
  expect(afterCut(events, all)).toBe('aba');
  expect(afterCut([...events, flush(2), done(2)], nothing)).toBe('aba');
});

test('sectors survive each by itself', () => {
  const events = [write(0, 1, 4)];
  const pieces = ([only]: readonly RecordedWrite[]): Piece[] => [
    { write: only as RecordedWrite, from: 0, count: 1 },
    { write: only as RecordedWrite, from: 3, count: 1 },
  ];
  expect(afterCut(events, pieces)).toBe('.a  a');
});

test('a disk that ignores what it is told keeps nothing', () => {
  const events = [write(0, 0), done(0), flush(1), done(1), write(2, 2, 1, true), done(2)];
  expect(afterCut(events, nothing)).toBe('a c');
  expect(afterCut(events, nothing, { flush: false, fua: true })).toBe('. c');
  expect(afterCut(events, nothing, { flush: true, fua: false })).toBe('a');
});

test('of what is not durable, everything survives, nothing does, and parts do', () => {
  const writes = [0, 1, 2].map((id) => ({ id, sector: id * 8, sectors: 8, bytes: Buffer.alloc(8 * SECTOR_BYTES) }));
  const kinds = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const pieces = survivorsOf(writes, new Random(seed));
    const sectors = pieces.reduce((sum, { count }) => sum + count, 0);
    for (const { write: each, from, count } of pieces) expect(from + count).toBeLessThanOrEqual(each.sectors);
    expect(pieces.map((piece) => piece.write.id)).toEqual(pieces.map((piece) => piece.write.id).sort());
    kinds.add(sectors === 0 ? 'nothing' : sectors === 24 ? 'all' : sectors % 8 === 0 ? 'whole writes' : 'torn');
  }
  expect([...kinds].sort()).toEqual(['all', 'nothing', 'torn', 'whole writes']);
});

test('no block of 4 KiB is torn where none may be', () => {
  const each = { id: 0, sector: 6, sectors: 20, bytes: Buffer.alloc(20 * SECTOR_BYTES) };
  const piece = (from: number, count: number): Piece => ({ write: each, from, count });
  expect(withWholeBlocks([piece(0, 1), piece(5, 6)])).toEqual([piece(0, 2), piece(10, 8)]);
  expect(withWholeBlocks([piece(0, 20)])).toEqual([piece(0, 2), piece(2, 8), piece(10, 8), piece(18, 2)]);
  expect(withWholeBlocks([piece(3, 7)])).toEqual([]);
});

test('a record says what it was told', () => {
  const report: DiskEvent = { what: 'report', log: 1, line: 'opened 1 17' };
  for (const event of [write(3, 17, 8, true), flush(4), done(3), report]) {
    expect(decodeEvent(encodeEvent(event))).toEqual(event);
  }
});
