import { dirname } from 'node:path';
import { WalError } from '@walstack/codec';
import type { IoRoutine } from '../io-routine.js';
import type { IoFile, StorageIo } from '../storage-io.js';
import { AppendBuffer } from './append-buffer.js';
import type { CountedIo } from './counted-io.js';
import { GroupWriter } from './group-writer.js';
import { type FrameRecovery, type RecoveredFrames, recoverFrames } from './recover-frames.js';
import { GIBIBYTE, type WriterSettings } from './writer-options.js';

/** A file that is open for appending. */
export interface OpenedWriter {
  readonly file: IoFile;
  readonly buffer: AppendBuffer;
  readonly writer: GroupWriter;
  readonly recovery: FrameRecovery | undefined;
}

/** Memory of at least so many bytes is kept for the next write. */
const SPARE_BYTES = 1024 * 1024;

/** Opens a file for appending; its name is durable on return, and with `framed` all that is found in it. */
export function* openWriter(steps: CountedIo, settings: WriterSettings): IoRoutine<OpenedWriter> {
  const { io } = steps;
  const { path, framed } = settings;
  const { file, created } = openOrCreate(io, settings);
  try {
    lockExclusively(io, file);
    checkFits(file, settings, io.size(file));
    yield* makeNameDurable(steps, path, created);
    const pad = framed && (file.direct || settings.padGroups);
    const recovered = framed ? yield* recover(steps, file, settings, pad) : undefined;
    const buffer = new AppendBuffer({
      position: recovered?.end ?? io.size(file),
      blockBytes: settings.blockBytes,
      pad,
      groupBytesMax: framed ? settings.maxUnsyncedBytes : GIBIBYTE,
      spareBytesMax: Math.max(SPARE_BYTES, 2 * settings.maxBatchBytes),
      allocate: (bytes) => io.allocateBuffer(bytes),
    });
    const writer = new GroupWriter({
      steps,
      file,
      buffer,
      // Of what was found in a file that is not framed, nobody knows.
      durableEnd: recovered?.end ?? 0,
      maxUnsyncedBytes: framed ? settings.maxUnsyncedBytes : Number.POSITIVE_INFINITY,
    });
    return { file, buffer, writer, recovery: recovered?.report };
  } catch (error) {
    io.close(file);
    throw error;
  }
}

/** The file, and whether it was made. */
function openOrCreate(io: StorageIo, { path, create, direct }: WriterSettings): { file: IoFile; created: boolean } {
  try {
    return { file: io.open(path, { direct }), created: false };
  } catch (error) {
    if (!create || !WalError.is(error, 'WAL_NOT_FOUND')) throw error;
  }
  return { file: io.open(path, { direct, create }), created: true };
}

/** Where the platform has locks on files: nobody else writes this one. */
function lockExclusively(io: StorageIo, file: IoFile): void {
  if (!io.capabilities.fileLocks || io.lockFile(file, 'exclusive')) return;
  throw new WalError('WAL_LOCKED', `${file.path} is locked by somebody else: close it there, then try again`, {
    path: file.path,
    reason: 'held',
  });
}

/** @throws `WAL_ALIGNMENT` when direct I/O cannot go on at the end of this file, or not with such blocks */
function checkFits({ path, alignment }: IoFile, { framed, blockBytes }: WriterSettings, size: number): void {
  if (framed && blockBytes % alignment !== 0) {
    throw new WalError(
      'WAL_ALIGNMENT',
      `direct I/O of ${path} wants multiples of ${alignment}, and its blocks have ${blockBytes} bytes: give a larger ` +
        'blockBytes, or do without direct',
      { path, limit: alignment, actual: blockBytes },
    );
  }
  if (!framed && size % alignment !== 0) {
    throw new WalError(
      'WAL_ALIGNMENT',
      `direct I/O of ${path} wants multiples of ${alignment}, and the file has ${size} bytes: do without direct`,
      { path, limit: alignment, actual: size },
    );
  }
}

/** A directory that may not be opened is left as it is, unless the file was made in it just now. */
function* makeNameDurable(steps: CountedIo, path: string, created: boolean): IoRoutine<void> {
  try {
    yield* steps.syncDirectory(dirname(path));
  } catch (error) {
    const refused = WalError.is(error) && (error.systemCode === 'EACCES' || error.systemCode === 'EPERM');
    if (created || !refused) throw error;
  }
}

/** Recovers through a handle without direct I/O, which need not be aligned. */
function* recover(steps: CountedIo, file: IoFile, settings: WriterSettings, pad: boolean): IoRoutine<RecoveredFrames> {
  const { blockBytes, maxUnsyncedBytes } = settings;
  const buffered = file.direct ? steps.io.open(settings.path) : file;
  try {
    return yield* recoverFrames(steps, { file: buffered, blockBytes, maxUnsyncedBytes, pad });
  } finally {
    if (buffered !== file) steps.io.close(buffered);
  }
}
