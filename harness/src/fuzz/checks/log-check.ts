import assert from 'node:assert/strict';
import { inflateRawSync } from 'node:zlib';
import { decodeSegmentHeader, parseSegmentFileName, WalError } from '@walstack/codec';
import { replayDirectory } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { Random } from '../../random.js';
import { backendWith, bytesOf, type Files, filesOn, sameFiles } from '../logs/files.js';
import { configOf, described, makeKeys } from '../logs/known-logs.js';
import { memoryTakenBy } from './counted-memory.js';
import { crcOf, fieldsAt, frameAt, framesOf, proves } from './reference.js';

/** Files that were changed, and what is known of the log that they were. */
export interface ChangedLog {
  readonly files: Files;
  /** What may be found in it, {@link described}; nothing is known when the files hold frames that were forged. */
  readonly records: readonly string[] | null;
  readonly firstLsn: number;
  readonly durableLsn: number;
}

/** What opening a log may say of files that are none, or a damaged one. */
const REFUSALS: readonly string[] = [
  'WAL_BAD_KEY',
  'WAL_CORRUPT',
  'WAL_FOREIGN_DIRECTORY',
  'WAL_NOT_FOUND',
  'WAL_UNSUPPORTED_VERSION',
];

/** What else it may say of a log that was forged. */
const REFUSALS_OF_USE: readonly string[] = ['WAL_UNSUPPORTED', 'WAL_RANGE', 'WAL_BAD_KEY', 'WAL_HOLE'];

/** What a log may read for each byte that it has: some passes for evidence, and a few others. */
const READS_PER_BYTE = 24;
const READS_ANYWAY = 16 * 1024;

/** What it may take of memory: buffers, of which some are as large as they ever are, and no more than there are bytes. */
const MEMORY_PER_BYTE = 32;
const MEMORY_PER_FILE = 2 * 1024 * 1024;

/** What was found in a log. */
interface Found {
  readonly io: StorageIo;
  readonly log: SegmentedWal;
  readonly records: readonly string[];
}

/**
 * Opens changed files. Either they are refused with a stable code and stay as they are, or there is a log: then it holds
 * a stretch of what was appended, byte for byte, and nothing that proves that there was more; it is the same when it is
 * opened again; and it goes on.
 */
export function checkChangedLog(input: ChangedLog): void {
  const first = open(input.files);
  const replayed = replayOf(input.files);
  if (first === undefined) return;
  const { log, io, records } = first;
  // Without a segment, and without anything that tells of one, there is no log that could be missed.
  if (log.recovery.created) {
    assert.ok(
      !Object.keys(input.files).some((name) => parseSegmentFileName(name) !== undefined || name === 'checkpoint'),
    );
    return;
  }
  const lsns = records.map((record) => Number.parseInt(record, 10));
  assert.deepEqual(
    lsns,
    Array.from(lsns, (_, index) => log.firstLsn + index),
    'LSNs have gaps',
  );
  assert.equal(log.nextLsn, log.firstLsn + records.length);

  assert.deepEqual(replayed, records, 'read without opening it, the log is another');
  if (input.records === null) checkAgainstFrames(input.files, records);
  else checkAgainstAppended(input, first);

  // As if it had been killed right after it was opened.
  const second = open(filesOn(io));
  assert.deepEqual(second?.records, records, 'opened again, the log is another');
  goOn(second);
}

/** What is found by reading the files without opening them; `undefined` when that is refused. */
function replayOf(files: Files): readonly string[] | undefined {
  const io = backendWith(files);
  const { directory } = configOf(new Random(5));
  try {
    const records = Array.from(
      replayDirectory(directory, { io, keyRing: makeKeys(), allowPlaintext: true }),
      described,
    );
    const lsns = records.map((record) => Number.parseInt(record, 10));
    assert.deepEqual(
      lsns,
      Array.from(lsns, (_, index) => (lsns[0] ?? 0) + index),
      'LSNs have gaps',
    );
    return records;
  } catch (error) {
    takeRefusal(error, [...REFUSALS, ...REFUSALS_OF_USE]);
    return undefined;
  } finally {
    assert.ok(sameFiles(filesOn(io), files), 'a log that was only read was changed');
  }
}

function open(files: Files): Found | undefined {
  const io = backendWith(files);
  const read = io.stats().bytesRead;
  let found: Found | undefined;
  const taken = memoryTakenBy(() => {
    found = openOn(io, files);
  });
  const bytes = bytesOf(files);
  const most = READS_PER_BYTE * bytes + READS_ANYWAY;
  assert.ok(io.stats().bytesRead - read <= most, `${io.stats().bytesRead - read} bytes were read of ${bytes}`);
  const mostMemory = MEMORY_PER_BYTE * bytes + MEMORY_PER_FILE * (Object.keys(files).length + 2);
  assert.ok(taken <= mostMemory, `${taken} bytes of memory were taken for files of ${bytes}`);
  return found;
}

function openOn(io: StorageIo, files: Files): Found | undefined {
  let log: SegmentedWal;
  try {
    log = SegmentedWal.openSync({
      ...configOf(new Random(5)),
      io,
      blockBytes: 512,
      segmentBytes: 2048,
      // Logs that are not encrypted go on encrypted.
      keyRing: makeKeys(),
      allowPlaintext: true,
    });
  } catch (error) {
    takeRefusal(error, REFUSALS);
    assert.ok(sameFiles(filesOn(io), files), 'a log that was refused was changed');
    return undefined;
  }
  try {
    return { io, log, records: Array.from(log.replay(), described) };
  } catch (error) {
    // What cannot be decompressed behind a right checksum shows when it is read.
    const made = WalError.is(error) && error.reason === 'compressed-payload' ? REFUSALS : REFUSALS_OF_USE;
    takeRefusal(error, made);
    return undefined;
  }
}

function takeRefusal(error: unknown, codes: readonly string[]): void {
  if (!WalError.is(error)) throw error;
  assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
  assert.ok(error.message.length > 20);
}

function goOn(found: Found | undefined): void {
  if (found === undefined) return;
  const { io, log, records } = found;
  const { nextLsn } = log;
  try {
    assert.equal(log.append('and on'), nextLsn);
    log.closeSync();
  } catch (error) {
    takeRefusal(error, REFUSALS_OF_USE);
    return;
  }
  const third = open(filesOn(io));
  assert.deepEqual(third?.records.slice(0, -1), records);
  assert.equal(third?.log.lastLsn, nextLsn);
  assert.ok(third?.log.recovery.cleanlyClosed);
}

/** Everything found was appended, and whatever is missing at the end could not be known. */
function checkAgainstAppended(input: ChangedLog, { log, records }: Found): void {
  const appended = new Set(input.records);
  for (const record of records) assert.ok(appended.has(record), `a record that was never appended: ${record}`);
  assert.equal(log.firstLsn, input.firstLsn, 'the log begins elsewhere');
  if (log.lastLsn < input.durableLsn) checkNothingProvesMore(input.files, log.nextLsn);
}

/** No frame in the newest segment, wherever it stands behind the last readable one, proves that `lsn` was durable. */
function checkNothingProvesMore(files: Files, lsn: number): void {
  const newest = Object.keys(files)
    .filter((name) => parseSegmentFileName(name) !== undefined)
    .sort()
    .at(-1);
  if (newest === undefined) return;
  const bytes = files[newest] as Uint8Array;
  const { blockBytes, segmentId } = decodeSegmentHeader(bytes, newest);
  const seed = crcOf(segmentId);
  const stretch = { bytes, start: blockBytes, end: bytes.length, position: blockBytes, blockBytes, seed };
  const end = blockBytes >= bytes.length ? bytes.length : (framesOf(stretch, bytes.length).at(-1) ?? blockBytes);
  const last = lsn + Math.floor((bytes.length - end) / 32);
  for (let at = end; at + 32 <= bytes.length; at++) {
    const evident =
      proves(fieldsAt(bytes, at), bytes.length - at, lsn, last) && frameAt(bytes, at, bytes.length, seed) !== undefined;
    assert.ok(!evident, `${newest}: the frame at ${at} proves that LSN ${lsn} was durable, and it was dropped`);
  }
}

/** Everything found stands as a frame with a right checksum in some segment. */
function checkAgainstFrames(files: Files, records: readonly string[]): void {
  const standing = new Set<string>();
  for (const [name, bytes] of Object.entries(files)) {
    if (parseSegmentFileName(name) === undefined) continue;
    for (const record of recordsIn(bytes)) standing.add(record);
  }
  for (const record of records) assert.ok(standing.has(record), `a record that stands nowhere: ${record}`);
}

function recordsIn(bytes: Uint8Array): string[] {
  let header: ReturnType<typeof decodeSegmentHeader>;
  try {
    header = decodeSegmentHeader(bytes, 'a file');
  } catch {
    return [];
  }
  const { blockBytes } = header;
  const seed = crcOf(header.segmentId);
  if (blockBytes >= bytes.length) return [];
  const stretch = { bytes, start: blockBytes, end: bytes.length, position: blockBytes, blockBytes, seed };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const offsets = framesOf(stretch, bytes.length).slice(0, -1);
  return offsets.map((at) => {
    const { length, lsn, type, metaLength, flags } = fieldsAt(bytes, at);
    const scoped = (flags & 8) !== 0;
    const body = at + 32 + (scoped ? 24 : 0);
    const end = at + 8 + length;
    const scope =
      scoped && body <= end
        ? {
            tenantId: view.getBigUint64(at + 32, true),
            databaseId: view.getBigUint64(at + 40, true),
            vshardId: view.getUint32(at + 48, true),
          }
        : undefined;
    const meta = bytes.subarray(body, body + metaLength);
    const stored = bytes.subarray(body + metaLength, Math.max(end, body + metaLength));
    const payload = (flags & 2) === 0 ? stored : inflated(stored);
    return described({ lsn: Number(lsn), type, meta, payload, scope, timestampMs: 0 });
  });
}

/** What a payload was before it was compressed; nothing when it is no such thing. */
function inflated(stored: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(stored, { maxOutputLength: 64 * 1024 * 1024 });
  } catch {
    return new Uint8Array(0);
  }
}
