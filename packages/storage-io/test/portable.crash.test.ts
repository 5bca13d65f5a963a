import { encodeFrame } from '@walstack/codec';
import { PortableWalWriter, type PortableWalWriterOptions, readFrames } from '@walstack/storage-io';
import { describe, expect, it, vi } from 'vitest';
import { ForgetfulFile, type Survives, survivors } from './forgetful-file.js';
import { failure } from './portable-support.js';

const PATH = 'd/file';

/** What stands before the zeros of padding. */
const PADDING = Buffer.from([0, 0, 0, 0x80]);

/** What a scenario does: bytes of an append, or a call. */
type Action = number | `batch ${number}` | 'flushBatch' | 'sync' | 'reopen';

/** What was appended, and how much of it was acknowledged as durable. */
interface Known {
  readonly appended: string[];
  acknowledged: number;
}

const options = (extra: PortableWalWriterOptions): PortableWalWriterOptions => ({
  framed: true,
  blockBytes: 512,
  maxUnsyncedBytes: 4096,
  ...extra,
});

/** Texts differ at every byte from frame to frame, and hold no zeros. */
const textOf = (number: number, length: number): string =>
  Array.from({ length }, (_, index) => String.fromCharCode(33 + ((number * 7 + index * 3) % 90))).join('');

const framesIn = (file: ForgetfulFile): string[] =>
  [...readFrames(PATH, { io: file.io(), blockBytes: 512, maxUnsyncedBytes: 4096 })].map(({ data }) =>
    Buffer.from(data).toString(),
  );

/** Does what a scenario says, until the power goes or an operation fails. */
function run(file: ForgetfulFile, actions: readonly Action[], extra: PortableWalWriterOptions, known: Known): void {
  const io = file.io(extra.direct);
  const open = () => PortableWalWriter.openSync(PATH, options({ ...extra, io }));
  let writer = open();
  const append = (length: number): string => {
    const text = textOf(known.appended.length, length);
    known.appended.push(text);
    return text;
  };
  for (const action of actions) {
    if (typeof action === 'number') writer.appendWithChecksumSync(append(action));
    else if (action === 'flushBatch') writer.flushBatchSync();
    else if (action === 'sync') writer.syncSync();
    else if (action === 'reopen') {
      writer.closeSync();
      writer = open();
    } else writer.appendWithChecksumBatchedSync(append(Number(action.slice('batch '.length))));
    if (action === 'sync' || action === 'reopen') known.acknowledged = known.appended.length;
    if (action === 'flushBatch') known.acknowledged = known.appended.length;
  }
  writer.closeSync();
  known.acknowledged = known.appended.length;
}

/** Like `run`, up to where it is stopped. */
function runUntilStopped(...args: Parameters<typeof run>): void {
  try {
    run(...args);
  } catch (error) {
    if (!['WAL_IO_FAILED', 'WAL_NO_SPACE'].includes((error as { code: string }).code)) throw error;
  }
}

/** Everything acknowledged is there; behind it stands what was appended next, and nothing else. */
function check(found: readonly string[], { appended, acknowledged }: Known): void {
  expect(found.length).toBeGreaterThanOrEqual(acknowledged);
  expect(found).toEqual(appended.slice(0, found.length));
}

const MIXED: readonly Action[] = [
  100,
  'sync',
  300,
  'batch 20',
  'batch 700',
  'batch 1',
  'flushBatch',
  56,
  1500,
  'batch 9',
  'sync',
  'reopen',
  504,
  1000,
  'batch 1200',
  2000,
  30,
  'reopen',
  5,
];

/** Frames of 64 bytes with their headers: one of them ends with every block. */
const REGULAR: readonly Action[] = [56, 56, 56, 'sync', ...new Array<Action>(20).fill(56), 'sync', 56, 56];

const scenarios: readonly [string, readonly Action[], PortableWalWriterOptions][] = [
  ['frames of all sizes', MIXED, {}],
  ['frames of all sizes, padded', MIXED, { padGroups: true }],
  ['frames of all sizes, by direct and durable writes', MIXED, { direct: true }],
  ['frames that end with blocks', REGULAR, {}],
  ['frames that end with blocks, padded', REGULAR, { padGroups: true }],
];

const fates = (count: number): Survives[] => [
  () => true,
  () => false,
  ...Array.from({ length: count }, (_, seed) => survivors(seed + 1)),
];

/** How many operations a scenario has when nothing goes wrong. */
function operationsOf(actions: readonly Action[], extra: PortableWalWriterOptions): number {
  const file = new ForgetfulFile();
  const known: Known = { appended: [], acknowledged: 0 };
  run(file, actions, extra, known);
  expect(framesIn(file)).toEqual(known.appended);
  return file.operations;
}

// Thousands of disks each: on a busy machine that takes minutes.
vi.setConfig({ testTimeout: 900_000 });

describe.each(scenarios)('%s', (_, actions, extra) => {
  it('survive a power cut at every operation, whatever of it reaches the disk', () => {
    const operations = operationsOf(actions, extra);
    expect(operations).toBeGreaterThan(10);
    for (let cutAt = 1; cutAt <= operations; cutAt++) {
      const file = new ForgetfulFile();
      const known: Known = { appended: [], acknowledged: 0 };
      file.cutAt = cutAt;
      runUntilStopped(file, actions, extra, known);
      expect(file.off).toBe(true);
      for (const survives of fates(24)) {
        const found = file.afterPowerCut(survives);
        const writer = PortableWalWriter.openSync(PATH, options({ ...extra, io: found.io(extra.direct) }));
        const recovered = framesIn(found);
        check(recovered, known);
        expect(writer.recovery?.frames).toBe(recovered.length);
        // What was found is durable, and what was cut is gone for good.
        expect(found.afterPowerCut(() => false).bytes).toEqual(found.bytes);
        writer.appendWithChecksumSync('behind');
        writer.syncSync();
        expect(framesIn(found.afterPowerCut(() => false))).toEqual([...recovered, 'behind']);
      }
    }
  });

  it('survive a power cut at every operation of recovery', () => {
    const operations = operationsOf(actions, extra);
    for (let cutAt = 3; cutAt <= operations; cutAt += 4) {
      const file = new ForgetfulFile();
      const known: Known = { appended: [], acknowledged: 0 };
      file.cutAt = cutAt;
      runUntilStopped(file, actions, extra, known);
      for (const survives of fates(2)) {
        const before = file.afterPowerCut(survives).bytes;
        const kept = framesIn(new ForgetfulFile(before));
        for (let step = 1; ; step++) {
          const recovering = new ForgetfulFile(before);
          recovering.cutAt = step;
          const io = recovering.io(extra.direct);
          const end = (): unknown => PortableWalWriter.openSync(PATH, options({ ...extra, io }));
          if (!failsWith('WAL_IO_FAILED', end)) break;
          for (const again of fates(4)) {
            const found = recovering.afterPowerCut(again);
            PortableWalWriter.openSync(PATH, options({ ...extra, io: found.io(extra.direct) }));
            expect(framesIn(found)).toEqual(kept);
          }
        }
      }
    }
  });

  it.each(['EIO', 'ENOSPC'])('lose nothing when any operation fails with %s, and the file is opened again', (code) => {
    const operations = operationsOf(actions, extra);
    for (let failAt = 1; failAt <= operations; failAt++) {
      const file = new ForgetfulFile();
      const known: Known = { appended: [], acknowledged: 0 };
      file.failAt = failAt;
      file.failWith = code;
      runUntilStopped(file, actions, extra, known);
      // The machine goes on running, with a page cache that may know more than the disk.
      const io = file.io(extra.direct);
      const writer = PortableWalWriter.openSync(PATH, options({ ...extra, io }));
      const recovered = framesIn(file);
      check(recovered, known);
      writer.appendWithChecksumSync('behind');
      writer.syncSync();
      expect(framesIn(file.afterPowerCut(() => false))).toEqual([...recovered, 'behind']);
    }
  });
});

describe('a frame that was not synced', () => {
  const frame = (text: string): Buffer => {
    const bytes = Buffer.alloc(8 + text.length);
    encodeFrame(bytes, 0, Buffer.from(text));
    return bytes;
  };

  /** What is found when of the second append only what stands behind its first block has reached the disk. */
  const foundBehind = (second: Uint8Array, extra: PortableWalWriterOptions = {}): string[] => {
    const file = new ForgetfulFile();
    const writer = PortableWalWriter.openSync(PATH, options({ ...extra, io: file.io() }));
    writer.appendWithChecksumSync('synced');
    writer.syncSync();
    writer.appendWithChecksumSync(second);
    let asked = 0;
    // The first is asked about the size, the next about each sector.
    const found = file.afterPowerCut(() => asked++ !== 1);
    PortableWalWriter.openSync(PATH, options({ ...extra, io: found.io() }));
    return framesIn(found);
  };

  it.each([
    ['a frame', frame('forged')],
    ['padding, a mark of it included', Buffer.concat([frame('forged'), PADDING, Buffer.alloc(600), frame('more')])],
    ['no frame, and a length that none has', Buffer.alloc(600, 0xff)],
  ])('and whose beginning was lost adds nothing, though what it holds in the next block is %s', (_, bytes) => {
    // Data begins at 14 + 8, and the next block at 512.
    const data = Buffer.alloc(512 - 22 + bytes.length, 1);
    bytes.copy(data, 512 - 22);
    expect(foundBehind(data)).toEqual(['synced']);
  });

  it('and is missing leaves nothing behind it either, where a frame begins with a block', () => {
    const file = new ForgetfulFile();
    const writer = PortableWalWriter.openSync(PATH, options({ io: file.io() }));
    writer.appendWithChecksumSync('synced');
    writer.syncSync();
    // Up to the end of the block, and a frame behind it.
    writer.appendWithChecksumSync(textOf(1, 512 - 14 - 8));
    writer.appendWithChecksumSync('behind');
    let asked = 0;
    const found = file.afterPowerCut(() => asked++ !== 1);
    PortableWalWriter.openSync(PATH, options({ io: found.io() }));
    expect(framesIn(found)).toEqual(['synced']);
  });
});

function failsWith(code: string, call: () => unknown): boolean {
  try {
    call();
    return false;
  } catch (error) {
    expect(error).toEqual(failure(code));
    return true;
  }
}

describe('a torn tail', () => {
  const made = new ForgetfulFile();
  const known: Known = { appended: [], acknowledged: 0 };
  run(made, [30, 470, 1, 'sync', 100, 300, 57], {}, known);
  const whole = made.bytes;

  it('is cut at every byte, and what is before it is kept', () => {
    for (let length = 0; length <= whole.length; length++) {
      const file = new ForgetfulFile(whole.subarray(0, length));
      const before = framesIn(file);
      const writer = PortableWalWriter.openSync(PATH, options({ io: file.io() }));
      expect(framesIn(file)).toEqual(before);
      expect(before).toEqual(known.appended.slice(0, before.length));
      expect(writer.recovery?.frames).toBe(before.length);
      expect(file.bytes.length).toBe(writer.size);
      expect(writer.recovery?.bytesCut).toBe(length - writer.size);
      writer.appendWithChecksumSync('behind');
      writer.closeSync();
      expect(framesIn(file)).toEqual([...before, 'behind']);
    }
  });

  it('is what a frame with any wrong bit is taken for, or else it is refused', () => {
    const ends = framesWithEnds(whole);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const bytes = whole.slice();
      const at = bit >> 3;
      bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7));
      const file = new ForgetfulFile(bytes);
      const intact = ends.filter(({ end }) => end <= at).map(({ text }) => text);
      if (failsWith.call(undefined, 'WAL_CORRUPT', () => framesIn(file))) {
        expect(() => PortableWalWriter.openSync(PATH, options({ io: file.io() }))).toThrow(failure('WAL_CORRUPT'));
        expect(file.bytes).toEqual(bytes);
        continue;
      }
      const found = framesIn(file);
      // In the zeros before a frame that starts with a block, a bit does no harm.
      expect(found).toEqual(isPadding(ends, at) ? known.appended : intact);
      PortableWalWriter.openSync(PATH, options({ io: file.io() }));
      expect(framesIn(file)).toEqual(found);
    }
  });

  it('is cut on a disk without a free block', () => {
    const file = new ForgetfulFile(whole.subarray(0, -1));
    file.full = true;
    const writer = PortableWalWriter.openSync(PATH, options({ io: file.io() }));
    expect(writer.recovery?.frames).toBe(known.appended.length - 1);
    expect(() => writer.appendWithChecksumSync('more')).toThrow(failure('WAL_NO_SPACE'));
    writer.closeSync();
    file.full = false;
    const again = PortableWalWriter.openSync(PATH, options({ io: file.io() }));
    again.appendWithChecksumSync('more');
    again.closeSync();
    expect(framesIn(file)).toEqual([...known.appended.slice(0, -1), 'more']);
  });
});

/** Where the frames of a file stand, found by walking over it as the format says. */
function framesWithEnds(bytes: Uint8Array): { text: string; start: number; end: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: { text: string; start: number; end: number }[] = [];
  for (let start = 0; start + 8 <= bytes.length; ) {
    const left = 512 - (start % 512);
    const length = left < 8 ? 0 : view.getUint32(start, true);
    if (length === 0) {
      start += left;
      continue;
    }
    const end = start + 8 + length;
    found.push({ text: Buffer.from(bytes.subarray(start + 8, end)).toString(), start, end });
    start = end;
  }
  return found;
}

const isPadding = (frames: readonly { start: number; end: number }[], at: number): boolean =>
  !frames.some(({ start, end }) => at >= start && at < end);
