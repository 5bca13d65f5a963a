import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { WalError } from '@walstack/codec';
import { callFailure } from '../errors/io-failure.js';
import type { IoRoutine } from '../routines/routine.js';
import { closeFile } from '../routines/small-files.js';
import type { IoFile, StorageIo } from '../storage-io.js';
import { AppendBuffer } from './append-buffer.js';
import { AppendWriter } from './append-writer.js';
import type { CountedIo } from './counted-io.js';
import { type FrameRecovery, type RecoveredFrames, recoverFrames, writeAgain } from './recover-frames.js';
import { GIBIBYTE, type WriterSettings } from './writer-options.js';

/** A file that is open for appending. */
export interface OpenedWriter {
  readonly file: IoFile;
  readonly buffer: AppendBuffer;
  readonly writer: AppendWriter;
  readonly recovery: FrameRecovery | undefined;
}

/** At least so many bytes of memory are kept for the next write. */
const SPARE_BYTES = 1024 * 1024;

/** Opens a file for appending; its name is durable on return, and with `framed` also the frames found in it. */
export function* openWriter(steps: CountedIo, settings: WriterSettings): IoRoutine<OpenedWriter> {
  const { io } = steps;
  const { path, framed, bounded } = settings;
  const { file, created } = openOrCreate(io, settings);
  try {
    lockExclusively(io, file);
    checkFits(file, settings, io.size(file));
    yield* makeNameDurable(steps, path, created);
    const pad = framed && (file.direct || settings.padGroups);
    const recovered = framed ? yield* recover(steps, file, settings, pad) : undefined;
    if (bounded && !framed) yield* makeTailDurable(steps, file, settings);
    const buffer = new AppendBuffer({
      position: recovered?.end ?? io.size(file),
      blockBytes: settings.blockBytes,
      pad,
      groupBytesMax: bounded ? settings.maxUnsyncedBytes : GIBIBYTE,
      spareBytesMax: Math.max(SPARE_BYTES, 2 * settings.maxBatchBytes),
      allocate: (bytes) => io.allocateBuffer(bytes),
    });
    const writer = new AppendWriter({
      steps,
      file,
      buffer,
      // Whether the content of a file that is neither framed nor bounded is durable is not known.
      durableEnd: recovered?.end ?? (bounded ? io.size(file) : 0),
      maxUnsyncedBytes: bounded ? settings.maxUnsyncedBytes : Number.POSITIVE_INFINITY,
    });
    return { file, buffer, writer, recovery: recovered?.report };
  } catch (error) {
    closeFile(io, file);
    throw error;
  }
}

/** Opens the file, and returns whether it was created. */
function openOrCreate(
  io: StorageIo,
  { path, create, direct, fileMode }: WriterSettings,
): { file: IoFile; created: boolean } {
  try {
    return { file: io.open(path, { direct }), created: false };
  } catch (error) {
    if (!create || !WalError.is(error, 'WAL_NOT_FOUND')) throw error;
  }
  return { file: io.open(path, { direct, create, mode: fileMode }), created: true };
}

/** Excludes other writers, where the platform and the file system have locks on files. */
function lockExclusively(io: StorageIo, file: IoFile): void {
  try {
    if (!io.capabilities.fileLocks || io.lockFile(file, 'exclusive')) return;
  } catch (error) {
    if (WalError.is(error, 'WAL_UNSUPPORTED')) return;
    throw error;
  }
  throw new WalError('WAL_LOCKED', `${file.path} is locked elsewhere: close it there, then try again`, {
    path: file.path,
    reason: 'held',
  });
}

/** @throws `WAL_ALIGNMENT` when direct I/O cannot continue at the end of this file, or not with blocks of this size */
function checkFits({ path, alignment }: IoFile, { framed, blockBytes }: WriterSettings, size: number): void {
  if (framed && blockBytes % alignment !== 0) {
    throw new WalError(
      'WAL_ALIGNMENT',
      `direct I/O of ${path} needs multiples of ${alignment}, and its blocks have ${blockBytes} bytes: set a larger ` +
        'blockBytes, or open it without direct',
      { path, limit: alignment, actual: blockBytes },
    );
  }
  if (!framed && size % alignment !== 0) {
    throw new WalError(
      'WAL_ALIGNMENT',
      `direct I/O of ${path} needs multiples of ${alignment}, and the file has ${size} bytes: open it without direct`,
      { path, limit: alignment, actual: size },
    );
  }
}

/** Syncs the directory of the file. If the directory may not be opened, that is an error only for a new file. */
function* makeNameDurable(steps: CountedIo, path: string, created: boolean): IoRoutine<void> {
  try {
    yield* steps.syncDirectory(dirname(steps.io.capabilities.realFiles ? linkTarget(path) : path));
  } catch (error) {
    const refused = WalError.is(error) && (error.systemCode === 'EACCES' || error.systemCode === 'EPERM');
    if (created || !refused) throw error;
  }
}

/** The path of the file itself when `path` is a symbolic link: its name may be in another directory. */
function linkTarget(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw callFailure('open', path, error);
  }
}

function recover(steps: CountedIo, file: IoFile, settings: WriterSettings, pad: boolean): IoRoutine<RecoveredFrames> {
  const { blockBytes, maxUnsyncedBytes } = settings;
  return unaligned(steps, file, (buffered) =>
    recoverFrames(steps, { file: buffered, blockBytes, maxUnsyncedBytes, pad }),
  );
}

/** Makes durable the last `maxUnsyncedBytes` of a file, of which never more than these were written and not synced. */
function makeTailDurable(steps: CountedIo, file: IoFile, { maxUnsyncedBytes }: WriterSettings): IoRoutine<void> {
  return unaligned(steps, file, function* (buffered) {
    const size = steps.io.size(buffered);
    if (size === 0) return;
    yield* writeAgain(steps, buffered, Math.max(0, size - maxUnsyncedBytes), size);
    yield* steps.datasync(buffered);
  });
}

/** Runs `work` on a handle without direct I/O, whose reads and writes need not be aligned. */
function* unaligned<T>(steps: CountedIo, file: IoFile, work: (buffered: IoFile) => IoRoutine<T>): IoRoutine<T> {
  const buffered = file.direct ? steps.io.open(file.path) : file;
  try {
    return yield* work(buffered);
  } finally {
    if (buffered !== file) closeFile(steps.io, buffered);
  }
}
