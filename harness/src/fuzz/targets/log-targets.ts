import { decodeSegmentHeader, encodeFrame, parseSegmentFileName, segmentFileName, segmentSeed } from '@walstack/codec';
import fc from 'fast-check';
import { type ChangedLog, checkChangedLog } from '../checks/log-check.js';
import { crcOf, framesOf, unsigned } from '../checks/reference.js';
import type { Files } from '../logs/files.js';
import { KNOWN_LOGS, type KnownLog, PLAIN_LOGS } from '../logs/known-logs.js';
import { edits, frameFields, putFields, type WrittenFields } from './arbitraries.js';
import { type Edit, edited } from './edits.js';
import { target } from './target.js';

/** Where in a file: at a frame, at the end of one, or at a block, and some bytes before or behind. */
interface Place {
  readonly near: 'frame' | 'end' | 'block' | 'anywhere';
  readonly index: number;
  readonly shift: number;
}

/** A change of the files of a log. Files are taken modulo their number. */
type Change =
  /** Bytes of one file, at a place that matters. */
  | { readonly kind: 'edit'; readonly file: number; readonly place: Place; readonly edit: Edit }
  /** The header of a frame that is none. */
  | { readonly kind: 'false header'; readonly file: number; readonly place: Place; readonly fields: WrittenFields }
  | { readonly kind: 'remove'; readonly file: number }
  /** One file's bytes under the name of another. */
  | { readonly kind: 'copy'; readonly from: number; readonly to: number }
  /** One file's bytes under a name of its own. */
  | { readonly kind: 'name'; readonly from: number; readonly name: string; readonly move: boolean };

/** A change with knowledge of the format: its checksums are right. */
type Forgery =
  | {
      readonly kind: 'frame';
      readonly file: number;
      readonly place: Place;
      readonly fields: WrittenFields;
      readonly ahead: number;
    }
  | { readonly kind: 'header'; readonly file: number; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'reseal'; readonly file: number; readonly place: Place; readonly edit: Edit }
  | { readonly kind: 'checkpoint'; readonly firstSegment: number; readonly checkpointLsn: number };

const files = fc.nat(20);
const places: fc.Arbitrary<Place> = fc.record({
  near: fc.constantFrom('frame', 'frame', 'end', 'block', 'anywhere'),
  index: fc.nat(60),
  shift: fc.oneof(fc.constant(0), fc.integer({ min: -9, max: 40 })),
});
const oneEdit: fc.Arbitrary<Edit> = edits(1)
  .filter((list) => list.length === 1)
  .map((list) => list[0] as Edit);

const names = fc.oneof(
  fc
    .tuple(fc.nat(12), fc.oneof(fc.nat(40), fc.integer({ min: 98, max: 140 })))
    .map(([number, lsn]) => segmentFileName(number + 1, lsn + 1)),
  fc.constantFrom('next.seg', 'checkpoint', 'checkpoint.tmp', 'free-1.seg', 'wal-1-1.seg', 'notes.txt', '.hidden'),
);

const changes: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('edit' as const), file: files, place: places, edit: oneEdit }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('false header' as const),
      file: files,
      place: places,
      fields: frameFields(10),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), file: files }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('copy' as const), from: files, to: files }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('name' as const), from: files, name: names, move: fc.boolean() }),
  },
);

const forgeries: fc.Arbitrary<Forgery> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('frame' as const),
      file: files,
      place: places,
      fields: frameFields(0),
      ahead: fc.oneof(fc.constant(0), fc.integer({ min: -3, max: 5 })),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('header' as const),
      file: files,
      at: fc.oneof(fc.constantFrom(8, 10, 11, 16, 24, 48, 72, 80, 88, 96), fc.nat(123)),
      bytes: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        fc.constantFrom(new Uint8Array(8), new Uint8Array(8).fill(255), new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0])),
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('reseal' as const), file: files, place: places, edit: oneEdit }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('checkpoint' as const),
      firstSegment: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.maxSafeNat()),
      checkpointLsn: fc.oneof(fc.nat(60), fc.nat(140), fc.maxSafeNat()),
    }),
  },
);

/** A segment's block size and the seed of its checksums; `undefined` when its header says nothing. */
function geometryOf(bytes: Uint8Array): { blockBytes: number; seed: number } | undefined {
  try {
    const { blockBytes, segmentId } = decodeSegmentHeader(bytes, 'a file');
    return { blockBytes, seed: segmentSeed(segmentId) };
  } catch {
    return undefined;
  }
}

/** The offsets of the frames of a segment, and behind them where the next one would be. */
function offsetsOf(bytes: Uint8Array): number[] {
  const geometry = geometryOf(bytes);
  if (geometry === undefined || geometry.blockBytes >= bytes.length) return [0];
  const { blockBytes, seed } = geometry;
  return framesOf(
    { bytes, start: blockBytes, end: bytes.length, position: blockBytes, blockBytes, seed },
    bytes.length,
  );
}

function offsetOf(bytes: Uint8Array, { near, index, shift }: Place): number {
  const offsets = offsetsOf(bytes);
  const blocks = Math.floor(bytes.length / 512) + 1;
  const base = {
    frame: offsets[index % offsets.length] as number,
    end: offsets.at(-1) as number,
    block: (index % blocks) * 512,
    anywhere: index * 97,
  }[near];
  return Math.min(bytes.length, Math.max(0, base + shift));
}

const nth = (from: Files, index: number): string => {
  const all = Object.keys(from);
  return all[index % all.length] as string;
};

const withBytes = (from: Files, name: string, bytes: Uint8Array): Files => ({ ...from, [name]: bytes });

function afterChange(from: Files, change: Change): Files {
  if (Object.keys(from).length === 0) return from;
  switch (change.kind) {
    case 'edit': {
      const name = nth(from, change.file);
      const bytes = from[name] as Uint8Array;
      return withBytes(from, name, edited(bytes, [{ ...change.edit, at: offsetOf(bytes, change.place) }]));
    }
    case 'false header': {
      const name = nth(from, change.file);
      const bytes = (from[name] as Uint8Array).slice();
      putFields(bytes, offsetOf(bytes, change.place), change.fields);
      return withBytes(from, name, bytes);
    }
    case 'remove':
      return without(from, nth(from, change.file));
    case 'copy':
      return withBytes(from, nth(from, change.to), from[nth(from, change.from)] as Uint8Array);
    case 'name': {
      const name = nth(from, change.from);
      const bytes = from[name] as Uint8Array;
      return withBytes(change.move ? without(from, name) : from, change.name, bytes);
    }
  }
}

const without = (from: Files, name: string): Files =>
  Object.fromEntries(Object.entries(from).filter(([each]) => each !== name));

/** Puts a frame with a right checksum into a segment, or behind it. */
function withFrame(bytes: Uint8Array, at: number, fields: WrittenFields, ahead: number): Uint8Array {
  const geometry = geometryOf(bytes);
  if (geometry === undefined) return bytes;
  const length = Math.min(fields.length, 600);
  const longer = new Uint8Array(Math.max(bytes.length, at + 8 + Math.max(24, length)));
  longer.set(bytes);
  const lsn = nextLsnOf(bytes) + BigInt(ahead);
  putFields(longer, at, { ...fields, length, lsn: lsn < 0n ? 0n : lsn });
  sealAt(longer, at, geometry.seed);
  return longer;
}

/** The LSN that the frames of a segment lead up to. */
function nextLsnOf(bytes: Uint8Array): bigint {
  const last = offsetsOf(bytes).at(-2);
  return last === undefined ? unsigned(bytes, 16, 8) : unsigned(bytes, last + 8, 8) + 1n;
}

function sealAt(bytes: Uint8Array, at: number, seed: number): void {
  const length = Number(unsigned(bytes, at, 4));
  if (at + 8 + length > bytes.length) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(at + 4, crcOf(bytes.subarray(at + 8, at + 8 + length), seed), true);
}

function afterForgery(from: Files, forgery: Forgery, known: KnownLog): Files {
  if (forgery.kind === 'checkpoint') return withBytes(from, 'checkpoint', checkpointOf(known, forgery));
  const name = nth(from, forgery.file);
  const bytes = from[name] as Uint8Array;
  switch (forgery.kind) {
    case 'frame':
      return withBytes(from, name, withFrame(bytes, offsetOf(bytes, forgery.place), forgery.fields, forgery.ahead));
    case 'header': {
      const header = bytes.slice();
      header.set(
        forgery.bytes.subarray(0, Math.max(0, header.length - forgery.at)),
        Math.min(forgery.at, header.length),
      );
      if (header.length < 128) return withBytes(from, name, header);
      new DataView(header.buffer).setUint32(124, crcOf(header.subarray(0, 124)), true);
      return withBytes(without(from, name), named(name, header), header);
    }
    case 'reseal': {
      const offsets = offsetsOf(bytes);
      const changed = edited(bytes, [{ ...forgery.edit, at: offsetOf(bytes, forgery.place) }]);
      const geometry = geometryOf(changed);
      if (geometry !== undefined) {
        for (const at of offsets) if (at + 8 <= changed.length) sealAt(changed, at, geometry.seed);
      }
      return withBytes(from, name, changed);
    }
  }
}

/** A segment whose header says another number or LSN gets the name that goes with it. */
function named(name: string, header: Uint8Array): string {
  if (parseSegmentFileName(name) === undefined) return name;
  const other = `wal-${String(unsigned(header, 24, 8)).padStart(10, '0')}-${String(unsigned(header, 16, 8)).padStart(20, '0')}.seg`;
  return parseSegmentFileName(other) === undefined ? name : other;
}

function checkpointOf({ files: from }: KnownLog, forgery: { firstSegment: number; checkpointLsn: number }): Uint8Array {
  const { firstSegment, checkpointLsn } = forgery;
  const segment = Object.entries(from).find(([name]) => parseSegmentFileName(name) !== undefined);
  const logId = Buffer.from((segment?.[1] ?? new Uint8Array(48)).subarray(32, 48)).toString('hex');
  const json = new TextEncoder().encode(
    JSON.stringify({ logId, firstSegment: Math.max(1, firstSegment), checkpointLsn, holds: {} }),
  );
  const bytes = new Uint8Array(8 + json.length);
  encodeFrame(bytes, 0, json);
  return bytes;
}

const logs = fc.nat(KNOWN_LOGS.length - 1);

const damaged = target<{ log: number; changes: Change[] }, ChangedLog>({
  name: 'damaged log',
  shapes: fc.record({ log: logs, changes: fc.array(changes, { minLength: 1, maxLength: 4 }) }),
  inputOf: ({ log, changes: list }) => {
    const known = KNOWN_LOGS[log] as KnownLog;
    return { ...known, files: list.reduce(afterChange, known.files) };
  },
  check: checkChangedLog,
});

const forged = target<{ log: number; forgeries: Forgery[]; changes: Change[] }, ChangedLog>({
  name: 'forged log',
  shapes: fc.record({
    log: fc.nat(PLAIN_LOGS.length - 1),
    forgeries: fc.array(forgeries, { minLength: 1, maxLength: 4 }),
    changes: fc.array(changes, { maxLength: 1 }),
  }),
  inputOf: ({ log, forgeries: list, changes: more }) => {
    const known = PLAIN_LOGS[log] as KnownLog;
    const after = list.reduce((from, forgery) => afterForgery(from, forgery, known), known.files);
    return { ...known, files: more.reduce(afterChange, after), records: null };
  },
  check: checkChangedLog,
});

/** Whole logs, in files that were changed. */
export const LOG_TARGETS = [damaged, forged];
