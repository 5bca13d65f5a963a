import { relative, resolve } from 'node:path';
import {
  CompletionRouter,
  type DoneWithCount,
  drive,
  type FileOpsOptions,
  fromAsyncFileOps,
  type IoFile,
  type IoRoutine,
  ioSteps,
  type StorageIo,
} from '@walstack/storage-io';

/** An existing directory on a disk. */
export interface Disk {
  readonly io: StorageIo;
  readonly root: string;
}

/** A pair of values, one for each disk. */
type Pair<T> = readonly [first: T, second: T];

/**
 * A backend that writes everything to two disks. Its paths are those of the first one. An operation succeeds when it has
 * succeeded on both disks, and fails when it fails on one. Reading needs only one of them.
 *
 * A crash may leave the disks different where nothing was acknowledged yet: call `makeAlike` before using the mirror.
 */
export function mirror(first: Disk, second: Disk, options: FileOpsOptions = {}): StorageIo {
  const disks: Pair<Disk> = [first, second];
  const at = (path: string): Pair<string> => [path, resolve(second.root, relative(first.root, path))];

  /** Runs an operation on one disk, then on the other. */
  const both = <T>(f: (io: StorageIo, index: 0 | 1) => T): Pair<T> => [f(first.io, 0), f(second.io, 1)];

  /** Runs an operation on both disks concurrently. */
  const together = (
    make: (io: StorageIo, index: 0 | 1) => IoRoutine<unknown>,
    done: DoneWithCount,
    count = 0,
  ): void => {
    let failure: Error | undefined;
    let left = disks.length;
    both((io, index) => {
      drive(CompletionRouter.for(io), make(io, index), (ended) => {
        if ('error' in ended) failure ??= ended.error as Error;
        left--;
        if (left === 0) done(failure, count);
      });
      io.flush();
    });
  };

  /** Reads from one disk, and from the other when that one cannot. */
  const read = (index: 0 | 1, files: Pair<IoFile>, into: Uint8Array, offset: number, done: DoneWithCount): void => {
    const { io } = disks[index];
    drive(CompletionRouter.for(io), ioSteps.read(io, files[index], into, offset), (ended) => {
      if ('value' in ended) done(null, ended.value);
      else if (index === 0) read(1, files, into, offset, done);
      else done(ended.error as Error);
    });
    io.flush();
  };

  const write = (
    files: Pair<IoFile>,
    data: Uint8Array,
    offset: number,
    durable: boolean,
    done: DoneWithCount,
  ): void => {
    const options = durable ? { durable } : {};
    together((io, index) => ioSteps.write(io, files[index], data, offset, options), done, data.length);
  };

  const { capabilities: one } = first.io;
  const { capabilities: other } = second.io;
  return fromAsyncFileOps<Pair<IoFile>>(
    {
      name: 'mirror',
      realFiles: one.realFiles,
      overlappedWrites: one.overlappedWrites && other.overlappedWrites,
      open: (path, flags) =>
        pairOf(
          () => first.io.open(path, flags),
          () => second.io.open(at(path)[1], flags),
          (file) => first.io.close(file),
        ),
      close: (files) => void both((io, index) => io.close(files[index])),
      size: ([file]) => first.io.size(file),
      list: (directory) => first.io.list(directory),
      stat: (path) => first.io.stat(path),
      rename: (from, to) => void both((io, index) => io.rename(at(from)[index], at(to)[index])),
      makeDirectory: (path, mode) => void both((io, index) => io.makeDirectory(at(path)[index], mode)),
      lock: (path, mode) => {
        const release = pairOf(
          () => first.io.lock(path, mode),
          () => second.io.lock(at(path)[1], mode),
          (undo) => undo(),
        );
        return () => release.forEach((each) => void each());
      },
      directAlignment: ([file, copy]) => Math.max(file.alignment, copy.alignment),
      allocateBuffer: (bytes) => first.io.allocateBuffer(bytes),
      read: (files, into, offset, done) => read(0, files, into, offset, done),
      write: (files, data, offset, done) => write(files, data, offset, false, done),
      ...(one.durableWrites && other.durableWrites
        ? {
            writeDurable: (files: Pair<IoFile>, data: Uint8Array, offset: number, done: DoneWithCount): void =>
              write(files, data, offset, true, done),
          }
        : {}),
      datasync: (files, done) => together((io, index) => ioSteps.datasync(io, files[index]), done),
      truncate: (files, bytes, done) => together((io, index) => ioSteps.truncate(io, files[index], bytes), done),
      remove: (path, done) => together((io, index) => ioSteps.remove(io, at(path)[index]), done),
      syncDirectory: (path, done) => together((io, index) => ioSteps.syncDirectory(io, at(path)[index]), done),
    },
    options,
  );
}

/** Makes one value for each disk, or none. */
function pairOf<T>(makeFirst: () => T, makeSecond: () => T, undo: (first: T) => void): Pair<T> {
  const first = makeFirst();
  try {
    return [first, makeSecond()];
  } catch (error) {
    undo(first);
    throw error;
  }
}
