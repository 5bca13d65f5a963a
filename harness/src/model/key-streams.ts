import { join } from 'node:path';
import { decodeSegmentHeader, type KeyRing, PayloadDecoder, parseSegmentFileName, RecordFlag } from '@walstack/codec';
import { type Link, openStreamed } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import type { LogNote } from './knowledge.js';

/** Bytes that tell a key stream from all others. */
const ENOUGH_BYTES = 12;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/**
 * The beginnings of the key streams that the records in the files of a log were encrypted with, leftovers of a cut
 * included: the exclusive or of what stands there and what it decrypts to.
 */
export function* keyStreamsOf(io: StorageIo, directory: string, keyRing: KeyRing): IoRoutine<readonly LogNote[]> {
  const notes: LogNote[] = [];
  for (const name of io.list(directory)) {
    if (parseSegmentFileName(name) === undefined) continue;
    const link = yield* linkOf(io, join(directory, name));
    if (link.header.encrypted) notes.push(...(yield* keyStreamsIn(io, link, keyRing)));
  }
  return notes;
}

function* linkOf(io: StorageIo, path: string): IoRoutine<Link> {
  const file = io.open(path);
  try {
    const bytes = new Uint8Array(128);
    yield* ioSteps.read(io, file, bytes, 0);
    return { path, header: decodeSegmentHeader(bytes, path) };
  } finally {
    io.close(file);
  }
}

function* keyStreamsIn(io: StorageIo, link: Link, keyRing: KeyRing): IoRoutine<readonly LogNote[]> {
  const notes: LogNote[] = [];
  const decoder = new PayloadDecoder(link.header, link.path, { keyRing });
  const scanner = yield* openStreamed(io, link);
  const { frames } = scanner;
  try {
    while (yield* scanner.fill()) {
      while (frames.next()) {
        if ((frames.flags & RecordFlag.encrypted) === 0) continue;
        const stored = frames.body();
        const plain = decoder.decrypt(frames.record, frames.head(), stored, frames.position);
        if (plain.length < ENOUGH_BYTES) continue;
        const keyStream = plain.subarray(0, ENOUGH_BYTES).map((byte, index) => byte ^ (stored[index] as number));
        const record = `${hex(link.header.segmentId)}/${frames.lsn}/${hex(stored.subarray(-16))}`;
        notes.push({ kind: 'encrypted', keyStream: hex(keyStream), record });
      }
    }
  } finally {
    scanner.close();
  }
  return notes;
}
