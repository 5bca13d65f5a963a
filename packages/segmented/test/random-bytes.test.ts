import { KeyRing } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { texts } from './support/logs.js';

/** What the application passes as the source of random bytes, of which ids are made. */

const keyRing = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(7) });
const CONFIG = { directory: '/log', blockBytes: 512, segmentBytes: 1024 };
const PAYLOADS = Array.from({ length: 6 }, (_, index) => `${index}`.repeat(300));

test.each([['in the clear', {}] as const, ['encrypted', { keyRing }] as const])(
  'a source of random bytes that fills the same memory each time makes ids that differ: %s',
  (_what, config) => {
    const disk = new SimulatedDisk();
    const memory = new Uint8Array(16);
    let drawn = 0;
    const randomBytes = (): Uint8Array => memory.fill(++drawn);
    const wal = SegmentedWal.openSync({ ...CONFIG, ...config, io: disk.createStorageIo(), randomBytes });
    for (const payload of PAYLOADS) wal.append(payload);
    wal.syncSync();
    expect(new Set(wal.listSegments().map(({ id }) => id)).size).toBe(6);
    expect(texts(wal.replay())).toEqual(PAYLOADS);
    const reopened = SegmentedWal.openSync({ ...CONFIG, ...config, io: disk.crash().createStorageIo() });
    expect(texts(reopened.replay())).toEqual(PAYLOADS);
  },
);

test.each([
  ['too few', () => new Uint8Array(8), 'ERR_OUT_OF_RANGE'] as const,
  ['too many', () => new Uint8Array(64), 'ERR_OUT_OF_RANGE'] as const,
  ['no bytes', () => 'x'.repeat(16) as unknown as Uint8Array, 'ERR_INVALID_ARG_TYPE'] as const,
])('a source of random bytes that returns %s is refused, and nothing is appended', (_what, wrong, code) => {
  const disk = new SimulatedDisk();
  const open = (randomBytes: SegmentedWalConfig['randomBytes']): SegmentedWal =>
    SegmentedWal.openSync({ ...CONFIG, io: disk.createStorageIo(), ...(randomBytes && { randomBytes }) });
  expect(() => open(wrong)).toThrow(expect.objectContaining({ code }));
  let isWrong = false;
  const wal = open((bytes) => (isWrong ? wrong() : new Uint8Array(bytes).fill(1)));
  wal.append('x'.repeat(400));
  isWrong = true;
  expect(() => wal.append('y'.repeat(400))).toThrow(expect.objectContaining({ code }));
  isWrong = false;
  expect(wal.append('z')).toBe(2);
  wal.closeSync();
  expect(wal.failure).toBeUndefined();
  expect(texts(open(undefined).replay())).toEqual(['x'.repeat(400), 'z']);
});
