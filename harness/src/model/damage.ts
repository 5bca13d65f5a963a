import { basename, join } from 'node:path';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import type { LostFile } from './knowledge.js';

/** Where the first record of a segment stands, behind its frame header: logs here have blocks of 512 bytes. */
const FIRST_RECORD = 512 + 8;

/**
 * Destroys the first record of a segment, durably.
 *
 * @param hidden - paths of files that the log does without then
 * @returns these files as they are after that
 */
export function* destroy(io: StorageIo, path: string, hidden: readonly string[]): IoRoutine<readonly LostFile[]> {
  const file = io.open(path);
  try {
    const byte = new Uint8Array(1);
    yield* ioSteps.read(io, file, byte, FIRST_RECORD);
    yield* ioSteps.write(
      io,
      file,
      byte.map((bits) => ~bits),
      FIRST_RECORD,
    );
    yield* ioSteps.datasync(io, file);
  } finally {
    io.close(file);
  }
  const files: LostFile[] = [];
  for (const each of hidden) files.push({ name: basename(each), content: yield* contentOf(io, each) });
  return files;
}

/** Inverts every byte of a small file, durably. */
export function* destroyFile(io: StorageIo, path: string): IoRoutine<void> {
  const file = io.open(path);
  try {
    const bytes = new Uint8Array(io.size(file));
    yield* ioSteps.read(io, file, bytes, 0);
    yield* ioSteps.write(
      io,
      file,
      bytes.map((bits) => ~bits),
      0,
    );
    yield* ioSteps.datasync(io, file);
  } finally {
    io.close(file);
  }
}

/** @throws an error when one of the files is neither in the directory of the log nor in quarantine, as it was */
export function* throwIfLost(io: StorageIo, directory: string, files: readonly LostFile[]): IoRoutine<void> {
  if (files.length === 0) return;
  const places = [directory];
  if (io.list(directory).includes('quarantine')) {
    const quarantine = join(directory, 'quarantine');
    places.push(...io.list(quarantine).map((name) => join(quarantine, name)));
  }
  for (const { name, content, hasCopies = false } of files) {
    const found: string[] = [];
    for (const place of places) {
      const names = io.list(place).filter((each) => each === name || (hasCopies && each.startsWith(`${name}.`)));
      found.push(...names.map((each) => join(place, each)));
    }
    if (found.length === 0) throw new Error(`lost: ${name} was to be kept in quarantine`);
    let isThere = false;
    for (const path of hasCopies ? found : found.slice(0, 1)) isThere ||= (yield* contentOf(io, path)) === content;
    if (!isThere) throw new Error(`lost: ${name} has been changed`);
  }
}

/** A frame of a segment: logs here have blocks of 512 bytes. */
interface Frame {
  readonly lsn: number;
  readonly start: number;
  readonly end: number;
  readonly isRecord: boolean;
  readonly isContinued: boolean;
}

function framesOf(bytes: Uint8Array): Frame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Frame[] = [];
  for (let start = 512; start + 32 <= bytes.length; ) {
    const left = 512 - (start % 512);
    const length = left < 8 ? 0 : view.getUint32(start, true);
    if (length === 0) {
      start += left;
      continue;
    }
    const end = start + 8 + length;
    const flags = view.getUint8(start + 26);
    const isContinued = (flags & 1) !== 0;
    found.push({ lsn: Number(view.getBigUint64(start + 8, true)), start, end, isRecord: flags < 16, isContinued });
    start = end;
  }
  return found;
}

/** A record of a segment that can be damaged, and the LSNs that are lost by that: its batch. */
export interface Target {
  readonly path: string;
  /** Offset of a byte of its payload, or of its header where it has none. */
  readonly offset: number;
  readonly lsns: readonly number[];
}

/** The records of a segment up to an LSN that have a payload, and their batches. */
export function* targetsIn(io: StorageIo, path: string, lastLsn: number): IoRoutine<readonly Target[]> {
  const bytes = new Uint8Array(Buffer.from(yield* contentOf(io, path), 'latin1'));
  const records = framesOf(bytes).filter(({ isRecord }) => isRecord);
  return records.flatMap(({ lsn, start, end }, index) => {
    if (end - start <= 32 || lsn > lastLsn) return [];
    let [first, last] = [index, index];
    while (records[first - 1]?.isContinued === true) first--;
    while (records[last]?.isContinued === true) last++;
    const lsns = records.slice(first, last + 1).map((each) => each.lsn);
    return [{ path, offset: 32 + start + Math.floor((end - start - 32) / 2), lsns }];
  });
}

/** Inverts a byte of a file, durably. @returns the file as it is then */
export function* destroyByte(io: StorageIo, path: string, offset: number): IoRoutine<LostFile> {
  const file = io.open(path);
  try {
    const byte = new Uint8Array(1);
    yield* ioSteps.read(io, file, byte, offset);
    yield* ioSteps.write(
      io,
      file,
      byte.map((bits) => ~bits),
      offset,
    );
    yield* ioSteps.datasync(io, file);
  } finally {
    io.close(file);
  }
  return { name: basename(path), content: yield* contentOf(io, path), hasCopies: true };
}

function* contentOf(io: StorageIo, path: string): IoRoutine<string> {
  const file = io.open(path);
  try {
    const bytes = new Uint8Array(io.size(file));
    yield* ioSteps.read(io, file, bytes, 0);
    return Buffer.from(bytes).toString('latin1');
  } finally {
    io.close(file);
  }
}
