import { chmodSync, existsSync } from 'node:fs';
import { WalError } from '@walstack/codec';
import {
  CompletionBuffer,
  createMemoryStorageIo,
  createSyncFsStorageIo,
  fromSyncFileOps,
  type IoFile,
  type StorageIo,
  type SyncFileOps,
} from '@walstack/storage-io';
import { type ConformanceBackend, storageIoConformance } from '@walstack/storage-io/conformance';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { onSimulatedDisk } from './simulation/simulated-backend.js';
import { type TinyFile, TinyFiles, tinySync, tinySyncOps } from './tiny-ops.js';

/** The tests of the suite, by their names. */
function suite(create: () => ConformanceBackend): Map<string, () => Promise<void>> {
  const tests = new Map<string, () => Promise<void>>();
  storageIoConformance({ test: (name, run) => tests.set(name, run), create, powerCuts: true });
  return tests;
}

/** A good backend, a few of whose members are replaced. */
function altered(io: StorageIo, replaced: (io: StorageIo) => Partial<StorageIo>): StorageIo {
  const changes: Partial<Record<PropertyKey, unknown>> = replaced(io);
  return new Proxy(io, {
    get(target, name) {
      if (name in changes) return changes[name as keyof StorageIo];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const withDefect = (replaced: (io: StorageIo) => Partial<StorageIo>) => (): ConformanceBackend => {
  const files = new TinyFiles();
  return {
    io: altered(tinySync(files, { maxPending: 40 }), replaced),
    directory: 'd',
    another: () => altered(tinySync(files), replaced),
  };
};

const withOps = (replaced: (files: TinyFiles) => Partial<SyncFileOps<TinyFile>>) => (): ConformanceBackend => {
  const files = new TinyFiles();
  const make = () => fromSyncFileOps({ ...tinySyncOps(files), ...replaced(files) });
  return { io: make(), directory: 'd', another: make };
};

/** Files in memory, which have permissions. */
const inMemoryWith = (replaced: (io: StorageIo) => Partial<StorageIo>) => (): ConformanceBackend => {
  const io = createMemoryStorageIo();
  io.makeDirectory('d');
  return { io: altered(io, replaced), directory: 'd' };
};

/** Real files, in a directory that others may search. */
const onRealFilesWith = (replaced: (io: StorageIo) => Partial<StorageIo>) => (): ConformanceBackend => ({
  io: altered(createSyncFsStorageIo(), replaced),
  directory: temporaryDirectory(),
});

const MADE = 'permissions: what is made has the permissions that were asked for, whatever the umask, and keeps them';

/** Takes away what is in a file. */
function emptied(files: TinyFiles, path: string): void {
  const file = files.entries.get(path);
  if (file !== undefined && file !== 'directory') file.bytes = new Uint8Array(0);
}

const removingEmpties = withOps((files) => ({
  remove: (path) => {
    emptied(files, path);
    files.remove(path);
  },
}));

/** A truncate that keeps what was in each file before. */
function keepingWhatIsCut(files: TinyFiles) {
  const before = new WeakMap<TinyFile, Uint8Array>();
  const truncate = (file: TinyFile, bytes: number): void => {
    before.set(file, file.bytes);
    files.truncate(file, bytes);
  };
  return { truncate, before: (file: TinyFile): Uint8Array => before.get(file) ?? new Uint8Array(0) };
}

/** Calls for each piece of so many bytes. */
function inPieces(length: number, each: (at: number, end: number) => void): void {
  for (let at = 0; at < length; at += 1024 * 1024) each(at, Math.min(length, at + 1024 * 1024));
}

/** Each defect, and a test that has to notice it. */
const defects: readonly (readonly [defect: string, noticedBy: string, create: () => ConformanceBackend])[] = [
  [
    'data is changed',
    'data: the memory of a write is not changed',
    withOps((files) => ({
      write: (file, data, offset) => {
        const count = files.write(file, data, offset);
        data.fill(0);
        return count;
      },
    })),
  ],
  [
    'the last byte of a large write is lost',
    'data: several MiB are written and read by one operation',
    withOps((files) => ({
      write: (file, data, offset) => {
        if (data.length < 65_536) return files.write(file, data, offset);
        files.write(file, data.subarray(0, -1), offset);
        return data.length;
      },
    })),
  ],
  [
    'a large write is carried out in pieces, each with the bytes of the first',
    'data: several MiB are written and read by one operation',
    withOps((files) => ({
      write: (file, data, offset) => {
        inPieces(data.length, (at, end) => files.write(file, data.subarray(0, end - at), offset + at));
        return data.length;
      },
    })),
  ],
  [
    'a large read is carried out in pieces, each of the bytes of the first',
    'data: several MiB are written and read by one operation',
    withOps((files) => ({
      read: (file, into, offset) => {
        const length = Math.max(0, Math.min(into.length, file.bytes.length - offset));
        inPieces(length, (at, end) => files.read(file, into.subarray(at, end), offset));
        return length;
      },
    })),
  ],
  [
    'appends go to the wrong end',
    'data: appends take effect in the order of submission',
    withDefect((io) => ({ submitAppend: (file, bytes) => io.submitWrite(file, bytes, 0) })),
  ],
  [
    'a read at the end of the file is an error',
    'data: a read at the end of the file is short, and after it empty',
    withOps((files) => ({
      read: (file, into, offset) => {
        if (offset + into.length > file.bytes.length) throw Object.assign(new Error('EIO'), { code: 'EIO' });
        return files.read(file, into, offset);
      },
    })),
  ],
  [
    'allocate clears what is there',
    'data: submitAllocate extends a file to its end and changes no content: overlapping file',
    withOps((files) => ({
      allocate: (file, offset, bytes) => {
        files.write(file, new Uint8Array(bytes), offset);
      },
    })),
  ],
  [
    'allocate does not reach',
    'data: submitAllocate extends a file to its end and changes no content: empty file',
    withOps(() => ({ allocate: () => {} })),
  ],
  [
    'a truncated file keeps its size',
    'data: submitTruncate shortens a file, and extends it with zeros',
    withOps(() => ({ truncate: () => {} })),
  ],
  [
    'durable writes are taken and not claimed',
    'data: durable writes work where the backend claims them, and are WAL_UNSUPPORTED elsewhere',
    withDefect((io) => ({ submitWrite: (file, bytes, offset) => io.submitWrite(file, bytes, offset) })),
  ],
  [
    'tokens repeat',
    'completions: every token completes exactly once, with the result of its operation',
    withDefect((io) => ({ submitWrite: (file, bytes, offset) => io.submitWrite(file, bytes, offset) % 3 || 3 })),
  ],
  [
    'a completion comes twice',
    'completions: every token completes exactly once, with the result of its operation',
    withDefect((io) => {
      let last = 0;
      return {
        pollCompletions: (out: CompletionBuffer) => {
          const count = io.pollCompletions(out);
          if (count > 0) last = out.tokens[0] as number;
          else if (last > 0) {
            out.tokens[0] = last;
            return 1;
          }
          return count;
        },
      };
    }),
  ],
  [
    'the listener is called from inside a submission',
    'completions: the listener is called when completions wait, and not from inside a call',
    withDefect((io) => {
      let listener: (() => void) | undefined;
      return {
        onReady: (given) => {
          listener = given;
          io.onReady(given);
        },
        submitWrite: (file, bytes, offset) => {
          const token = io.submitWrite(file, bytes, offset);
          listener?.();
          return token;
        },
      };
    }),
  ],
  [
    'the queue is never full',
    'completions: a full queue is WAL_QUEUE_FULL, and polling makes room',
    () => ({ io: tinySync(new TinyFiles(), { maxPending: 1_000_000 }), directory: 'd' }),
  ],
  [
    'waiting takes too much',
    'completions: waitCompletions waits for no more than are pending, nor than fit in the buffer',
    withDefect((io) => ({ waitCompletions: (out) => io.pollCompletions(out) + 1 })),
  ],
  [
    'files are known by their number',
    'files: a copy of the object of a file is WAL_BAD_FD',
    withDefect((io) => {
      const known = new Map<number, IoFile>();
      return {
        open: (path, options) => {
          const file = io.open(path, options);
          known.set(file.fd, file);
          return file;
        },
        size: (file) => io.size(known.get(file.fd) ?? file),
      };
    }),
  ],
  [
    'a file can be closed twice',
    'files: a file that was closed is WAL_BAD_FD',
    withDefect((io) => ({
      close: (file) => {
        try {
          io.close(file);
        } catch {
          // As if nothing were wrong.
        }
      },
    })),
  ],
  [
    'names are not sorted',
    'names: list returns the names of files and directories, sorted',
    withDefect((io) => ({ list: (directory) => io.list(directory).reverse() })),
  ],
  [
    'exclusive is ignored',
    'names: exclusive refuses an existing file',
    withDefect((io) => ({ open: (path, options) => io.open(path, { ...options, exclusive: false }) })),
  ],
  [
    'a lock excludes nothing',
    'locks: a lock excludes another backend',
    withDefect((io) => ({
      lock: (path) => {
        io.close(io.open(path, { create: true }));
        return () => {};
      },
    })),
  ],
  [
    'dispose leaves locks behind',
    'locks: dispose releases locks',
    () => {
      const files = new TinyFiles();
      const make = () => altered(tinySync(files), () => ({ lock: (path) => tinySync(files).lock(path) }));
      return { io: make(), directory: 'd', another: make };
    },
  ],
  [
    'stats count nothing',
    'completions: the counters of stats match what was done',
    withDefect((io) => ({ stats: () => ({ ...io.stats(), bytesWritten: 0 }) })),
  ],
  [
    'dispose leaves the backend open',
    'lifecycle: after dispose every call except stats is WAL_CLOSED',
    withDefect(() => ({ dispose: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() })),
  ],
  [
    'a write completes before it has taken the bytes it was lent',
    'data: the memory of a write can be reused when it has completed',
    withDefect((io) => ({
      submitWrite: (file, data, offset, options) => {
        if (data.length < 1000) return io.submitWrite(file, data, offset, options);
        const token = io.submitWrite(file, new Uint8Array(data.length), offset, options);
        setImmediate(() => io.submitWrite(file, data, offset, options));
        return token;
      },
    })),
  ],
  [
    'the last byte of a durable write is lost',
    'data: durable writes work where the backend claims them, and are WAL_UNSUPPORTED elsewhere',
    withOps((files) => ({
      writeDurable: (file, data, offset) => {
        files.write(file, data.length > 4096 ? data.subarray(0, -1) : data, offset);
        return data.length;
      },
    })),
  ],
  [
    'bytes of a write beyond 8 MiB are lost',
    'data: several MiB are written and read by one operation',
    withOps((files) => ({
      write: (file, data, offset) => {
        files.write(file, data.subarray(0, 8 * 1024 * 1024), offset);
        return data.length;
      },
    })),
  ],
  [
    'bytes of a file beyond 8 MiB are lost',
    'data: reading returns what was written many MiB after the beginning of a file',
    withOps((files) => ({
      write: (file, data, offset) => (offset > 8 * 1024 * 1024 - 1000 ? data.length : files.write(file, data, offset)),
    })),
  ],
  [
    'removing empties a file that is open',
    'names: a file that was removed stays usable where it is open',
    removingEmpties,
  ],
  [
    'removing empties a file that another backend has open',
    'names: a file that is removed or replaced stays usable where another backend has it open',
    removingEmpties,
  ],
  [
    'renaming empties the file that it replaces',
    'names: a file that was replaced by a rename stays usable where it is open',
    withOps((files) => ({
      rename: (from, to) => {
        emptied(files, to);
        files.namespace.rename(from, to);
      },
    })),
  ],
  [
    'list stops at 50 names',
    'names: list returns all names, also of hundreds of files',
    withDefect((io) => ({ list: (directory) => io.list(directory).slice(0, 50) })),
  ],
  [
    'results are swapped',
    'completions: every token completes exactly once, with the result of its operation',
    withDefect((io) => ({
      pollCompletions: (out: CompletionBuffer) => {
        const count = io.pollCompletions(out);
        out.results.subarray(0, count).reverse();
        return count;
      },
    })),
  ],
  [
    'offsets are taken modulo 4 GiB',
    'refusals: a write at an offset near the limit succeeds or fails, and changes nothing else',
    withOps((files) => ({ write: (file, data, offset) => files.write(file, data, offset % 2 ** 32) })),
  ],
  [
    'writes that fail are reported as done',
    'refusals: a write at an offset near the limit succeeds or fails, and changes nothing else',
    withOps((files) => ({
      write: (file, data, offset) => {
        try {
          return files.write(file, data, offset);
        } catch {
          return data.length;
        }
      },
    })),
  ],
  [
    'what was cut off is there again when the file grows by a write',
    'any order: random operations on a file that is opened twice leave the expected content',
    withOps((files) => {
      const { truncate, before } = keepingWhatIsCut(files);
      return {
        truncate,
        write: (file, data, offset) => {
          const end = file.bytes.length;
          const count = files.write(file, data, offset);
          if (offset > end) file.bytes.set(before(file).subarray(end, offset), end);
          return count;
        },
      };
    }),
  ],
  [
    'a read behind a cut gives what was there',
    'any order: random operations on a file that is opened twice leave the expected content',
    withOps((files) => {
      const { truncate, before } = keepingWhatIsCut(files);
      return {
        truncate,
        read: (file, into, offset) => {
          const stale = before(file).subarray(offset, offset + into.length);
          const count = files.read(file, into, offset);
          into.set(stale.subarray(count), count);
          return Math.max(count, stale.length);
        },
      };
    }),
  ],
  [
    'an append goes where the file ended for this handle',
    'any order: random operations on a file that is opened twice leave the expected content',
    withDefect((io) => {
      const ends = new Map<IoFile, number>();
      return {
        submitAppend: (file, data) => {
          const end = ends.get(file) ?? io.size(file);
          ends.set(file, end + data.length);
          return io.submitWrite(file, data, end);
        },
      };
    }),
  ],
  [
    'the size is that of when the file was opened, and of its own writes since',
    'any order: random operations on a file that is opened twice leave the expected content',
    withDefect((io) => {
      const sizes = new Map<IoFile, number>();
      return {
        open: (path, options) => {
          const file = io.open(path, options);
          sizes.set(file, io.size(file));
          return file;
        },
        size: (file) => sizes.get(file) ?? io.size(file),
        submitWrite: (file, data, offset) => {
          sizes.set(file, Math.max(sizes.get(file) ?? 0, offset + data.length));
          return io.submitWrite(file, data, offset);
        },
      };
    }),
  ],
  [
    'of many writes at a time some are dropped',
    'any order: of many operations at a time each is carried out, with its own result',
    () => {
      const io = tinySync(new TinyFiles());
      const submitWrite: StorageIo['submitWrite'] = (file, data, offset) =>
        io.submitWrite(file, io.pending < 256 ? data : new Uint8Array(data.length), offset);
      return { io: altered(io, () => ({ submitWrite })), directory: 'd' };
    },
  ],
  [
    'of many open files the first gets what is written to the last',
    'any order: operations on many open files do not change other files',
    withDefect((io) => {
      const open: IoFile[] = [];
      return {
        open: (path, options) => {
          const file = io.open(path, options);
          open.push(file);
          return file;
        },
        submitAppend: (file, data) => io.submitAppend(open[open.indexOf(file) % 64] ?? file, data),
      };
    }),
  ],
  [
    'an open that is refused has emptied the file',
    'refusals: an open that exclusive refuses does not change the file',
    withOps((files) => ({
      open: (path, flags) => {
        if (flags.exclusive) emptied(files, path);
        return files.namespace.open(path, flags);
      },
    })),
  ],
  [
    'the permissions of files are ignored',
    MADE,
    inMemoryWith((io) => ({ open: (path, options = {}) => io.open(path, { ...options, mode: 0o600 }) })),
  ],
  [
    'the permissions of directories are ignored',
    MADE,
    inMemoryWith((io) => ({ makeDirectory: (path) => io.makeDirectory(path) })),
  ],
  ['the permissions of locks are ignored', MADE, inMemoryWith((io) => ({ lock: (path) => io.lock(path) }))],
  [
    'the umask takes permissions away',
    MADE,
    onRealFilesWith((io) => ({
      open: (path, options = {}) => {
        const file = io.open(path, options);
        if (options.mode !== undefined) chmodSync(path, options.mode & ~0o022);
        return file;
      },
    })),
  ],
  [
    'an existing file gets the permissions that were asked for',
    MADE,
    onRealFilesWith((io) => ({
      open: (path, options = {}) => {
        const file = io.open(path, options);
        if (options.mode !== undefined) chmodSync(path, options.mode);
        return file;
      },
    })),
  ],
  [
    'what is made can be read by all',
    'permissions: what is made without permissions is for its owner only',
    inMemoryWith((io) => ({ open: (path, options = {}) => io.open(path, { mode: 0o644, ...options }) })),
  ],
  [
    'further bits of permissions are taken away',
    'permissions: permissions that are none are refused, and nothing is made',
    inMemoryWith((io) => ({
      open: (path, { mode, ...rest } = {}) =>
        io.open(path, mode === undefined ? rest : { ...rest, mode: Number(mode) & 0o777 }),
    })),
  ],
  [
    'a file that is only read is opened for writing as well',
    'permissions: a file that is opened for reading only need not be writable',
    onRealFilesWith((io) => ({
      open: (path, options = {}) => io.open(path, options.readOnly === true ? {} : options),
    })),
  ],
  [
    'rename replaces a directory and what is in it',
    'refusals: makeDirectory and rename do not replace an existing directory, nor change its files',
    withOps((files) => ({
      rename: (from, to) => {
        if (files.entries.get(to) === 'directory') {
          for (const path of [...files.entries.keys()]) if (path.startsWith(`${to}/`)) files.entries.delete(path);
          files.entries.delete(to);
        }
        files.namespace.rename(from, to);
      },
    })),
  ],
  [
    'rename removes what has the name, and then renames',
    'refusals: renaming a file to its own name does not change it',
    withOps((files) => ({
      rename: (from, to) => {
        files.entries.delete(to);
        files.namespace.rename(from, to);
      },
    })),
  ],
  [
    'dispose drops what has completed, and tells nothing of it',
    'lifecycle: dispose calls the listener for everything that completes before it ends',
    withDefect((io) => ({
      dispose: () => {
        io.onReady(undefined);
        return io.dispose();
      },
    })),
  ],
  [
    'writes stay in the backend until it is disposed of',
    'lifecycle: another backend sees completed writes while this one is open',
    () => {
      const [files, own] = [new TinyFiles(), new TinyFiles()];
      const io = tinySync(own);
      const dispose = async (): Promise<void> => {
        await io.dispose();
        for (const [path, entry] of own.entries) files.entries.set(path, entry);
      };
      return { io: altered(io, () => ({ dispose })), directory: 'd', another: () => tinySync(files) };
    },
  ],
  [
    'offsets are not checked',
    'arguments: an offset or a size that is NaN, negative, fractional or too large is a RangeError',
    withDefect((io) => ({
      submitRead: (file, into, offset) => io.submitRead(file, into, Math.max(0, Math.trunc(offset) || 0) % 1000),
    })),
  ],
];

/** A backend on a simulated disk, so that the power can be cut. */
const onForgetfulDisk =
  (replaced: (io: StorageIo) => Partial<StorageIo>, completesInline = true) =>
  (): ConformanceBackend => {
    const backend = onSimulatedDisk(1, { durableWrites: true, completesInline, directAlignment: 512 });
    return { ...backend, io: altered(backend.io, replaced) };
  };

/** Does nothing to a file, and completes with 0. */
const nothingDone = (io: StorageIo, file: IoFile) => io.submitWrite(file, new Uint8Array(0), 0);

const oneDatasyncAtATime = onForgetfulDisk(
  (io) => ({ submitDatasync: (file) => (io.pending > 0 ? nothingDone(io, file) : io.submitDatasync(file)) }),
  false,
);

const oneDurableWriteAtATime = onForgetfulDisk((io) => ({
  submitWrite: (file, data, offset, options) => io.submitWrite(file, data, offset, io.pending > 0 ? {} : options),
}));

/**
 * A datasync of a file does nothing unless one of these changes was made since the one before it.
 *
 * @param isForgotten - of each change, whether it counts for none
 */
const syncedIfChanged = (isForgotten: (change: 'append' | 'open') => boolean, clearedByDurable = false) =>
  onForgetfulDisk((io) => {
    const changed = new Set<string>();
    const noted = <T>({ path }: IoFile, token: T): T => {
      changed.add(path);
      return token;
    };
    return {
      open: (path, options) => {
        const file = io.open(path, options);
        return options?.truncate && !isForgotten('open') ? noted(file, file) : file;
      },
      submitWrite: (file, data, offset, options) => {
        const token = noted(file, io.submitWrite(file, data, offset, options));
        if (clearedByDurable && options?.durable) changed.delete(file.path);
        return token;
      },
      submitAppend: (file, data) => {
        const token = io.submitAppend(file, data);
        return isForgotten('append') ? token : noted(file, token);
      },
      submitDatasync: (file) => (changed.delete(file.path) ? io.submitDatasync(file) : nothingDone(io, file)),
    };
  });

/** The sync of a directory does nothing when only this was done to names since the one before it. */
const notSyncedBehind = (change: 'submitRemove' | 'rename' | 'makeDirectory') =>
  onForgetfulDisk((io) => {
    let file: IoFile | undefined;
    let isChanged = true;
    return {
      open: (path, options) => {
        isChanged = true;
        file ??= io.open('/outside', { create: true });
        return io.open(path, options);
      },
      [change]: (...given: unknown[]) => {
        isChanged = false;
        return Reflect.apply(io[change], io, given);
      },
      submitSyncDirectory: (path) =>
        isChanged || file === undefined ? io.submitSyncDirectory(path) : nothingDone(io, file),
    };
  });

/** What only a power cut can show. */
const lies: readonly (readonly [lie: string, noticedBy: string, create: () => ConformanceBackend])[] = [
  [
    'a datasync does nothing',
    'power cuts: a datasync makes durable the data and the size of the file',
    onForgetfulDisk((io) => ({ submitDatasync: (file) => nothingDone(io, file) })),
  ],
  [
    'a second datasync of a file does nothing',
    'power cuts: a datasync makes durable what was written after the one before it',
    onForgetfulDisk((io) => {
      const synced = new Set<IoFile>();
      return {
        submitDatasync: (file) => {
          const token = synced.has(file) ? nothingDone(io, file) : io.submitDatasync(file);
          synced.add(file);
          return token;
        },
      };
    }),
  ],
  [
    'a datasync is answered by the one under way',
    'power cuts: a datasync covers all writes before it, also while another datasync is in flight',
    onForgetfulDisk((io) => {
      const underWay = new Map<IoFile, number>();
      return {
        submitDatasync: (file) => {
          if (underWay.has(file)) return nothingDone(io, file);
          const token = io.submitDatasync(file);
          underWay.set(file, token);
          return token;
        },
        pollCompletions: (out) => {
          const count = io.pollCompletions(out);
          const completed = out.tokens.subarray(0, count);
          for (const [file, token] of underWay) if (completed.includes(token)) underWay.delete(file);
          return count;
        },
      };
    }, false),
  ],
  [
    'a datasync is answered by that of another file',
    'power cuts: datasyncs of several files at a time make each of them durable',
    oneDatasyncAtATime,
  ],
  [
    'a datasync of several at a time does nothing',
    'power cuts: random writes and syncs of several files: what was synced is found',
    oneDatasyncAtATime,
  ],
  [
    'a datasync syncs the file that was opened last',
    'power cuts: datasyncs of several files at a time make each of them durable',
    onForgetfulDisk((io) => {
      let last: IoFile | undefined;
      return {
        open: (path, options) => {
          last = io.open(path, options);
          return last;
        },
        submitDatasync: (file) => io.submitDatasync(last ?? file),
      };
    }),
  ],
  [
    'a file through which nothing was written is not synced',
    'power cuts: a datasync makes durable what was written through other opens of its file, closed or not',
    onForgetfulDisk((io) => {
      const written = new Set<IoFile>();
      return {
        submitWrite: (file, data, offset, options) => {
          written.add(file);
          return io.submitWrite(file, data, offset, options);
        },
        submitDatasync: (file) => (written.delete(file) ? io.submitDatasync(file) : nothingDone(io, file)),
      };
    }),
  ],
  [
    'a file to which was only appended is not synced',
    'power cuts: a datasync makes durable what was appended to a file',
    syncedIfChanged((change) => change === 'append'),
  ],
  [
    'a file that was only cut when it was opened is not synced',
    'power cuts: a datasync makes durable that open with truncate has emptied the file',
    syncedIfChanged((change) => change === 'open'),
  ],
  [
    'a durable write is taken for a sync of what was written before it',
    'power cuts: a datasync makes durable the writes before and after a durable write',
    syncedIfChanged(() => false, true),
  ],
  [
    'a file that was renamed is not known to have been written',
    'power cuts: a datasync makes durable what was written to its file under an earlier name',
    syncedIfChanged(() => false),
  ],
  [
    'what was written with direct I/O is taken for durable',
    'power cuts: what was written with direct I/O is durable by a datasync, or as a durable write',
    onForgetfulDisk((io) => ({
      submitDatasync: (file) => (file.direct ? nothingDone(io, file) : io.submitDatasync(file)),
    })),
  ],
  [
    'a durable write with direct I/O is a plain one',
    'power cuts: what was written with direct I/O is durable by a datasync, or as a durable write',
    onForgetfulDisk((io) => ({
      submitWrite: (file, data, offset, options) => io.submitWrite(file, data, offset, file.direct ? {} : options),
    })),
  ],
  [
    'a directory is not synced behind a removal',
    'power cuts: the sync of a directory makes a single change durable: a file was removed',
    notSyncedBehind('submitRemove'),
  ],
  [
    'a directory is not synced behind a renaming',
    'power cuts: the sync of a directory makes a single change durable: a file was renamed',
    notSyncedBehind('rename'),
  ],
  [
    'a directory is not synced behind a replacement',
    'power cuts: the sync of a directory makes a single change durable: a file was replaced by another one',
    notSyncedBehind('rename'),
  ],
  [
    'a directory is not synced behind a directory that was made in it',
    'power cuts: the sync of a directory makes a single change durable: a directory was made',
    notSyncedBehind('makeDirectory'),
  ],
  [
    'the sync of a directory is answered by the one under way',
    'power cuts: the sync of a directory covers all names before it, also while another sync is in flight',
    onForgetfulDisk((io) => {
      let some: IoFile | undefined;
      let underWay = 0;
      return {
        open: (path, options) => {
          const file = io.open(path, options);
          some ??= file;
          return file;
        },
        submitSyncDirectory: (path) => {
          if (underWay > 0 && some !== undefined) return nothingDone(io, some);
          underWay = io.submitSyncDirectory(path);
          return underWay;
        },
        pollCompletions: (out) => {
          const count = io.pollCompletions(out);
          if (out.tokens.subarray(0, count).includes(underWay)) underWay = 0;
          return count;
        },
      };
    }, false),
  ],
  [
    'the sync of a directory is answered by that of another one',
    'power cuts: syncs of several directories at a time make the names of each durable',
    onForgetfulDisk((io) => {
      let some: IoFile | undefined;
      return {
        open: (path, options) => {
          some = io.open(path, options);
          return some;
        },
        close: () => {},
        submitSyncDirectory: (path) =>
          io.pending > 0 && some !== undefined ? nothingDone(io, some) : io.submitSyncDirectory(path),
      };
    }, false),
  ],
  [
    'a durable write beside a plain one is plain',
    'power cuts: durable writes are durable with other writes of the file in flight',
    oneDurableWriteAtATime,
  ],
  [
    'the sync of a directory does nothing',
    'power cuts: the sync of a directory makes names durable: made, renamed, replaced, removed',
    onForgetfulDisk((io) => {
      let some: IoFile | undefined;
      return {
        open: (path, options) => {
          some = io.open(path, options);
          return some;
        },
        submitSyncDirectory: (path) => (some === undefined ? io.submitSyncDirectory(path) : nothingDone(io, some)),
        close: () => {},
      };
    }),
  ],
  [
    'durable writes are plain ones',
    'power cuts: a durable write is durable when it completes, whatever its length',
    onForgetfulDisk((io) => ({ submitWrite: (file, data, offset) => io.submitWrite(file, data, offset) })),
  ],
  [
    'durable writes are plain ones where several are under way',
    'power cuts: of several durable writes in flight each is durable',
    oneDurableWriteAtATime,
  ],
  [
    'the last byte of a durable write is written plainly',
    'power cuts: a durable write is durable when it completes, whatever its length',
    onForgetfulDisk((io) => ({
      submitWrite: (file, data, offset, options) => {
        if (options?.durable !== true || data.length < 2) return io.submitWrite(file, data, offset, options);
        io.submitWrite(file, data.subarray(-1), offset + data.length - 1);
        while (io.pending > 0) io.pollCompletions(new CompletionBuffer(8));
        return io.submitWrite(file, data.subarray(0, -1), offset, options);
      },
    })),
  ],
];

/** The test of that name fails. */
async function expectNotice(name: string, create: () => ConformanceBackend): Promise<void> {
  const run = suite(create).get(name);
  expect(run, `there is a test named ${name}`).toBeDefined();
  await expect(run?.()).rejects.toThrow();
}

describe('the conformance suite', () => {
  it('has no two tests of one name', () => {
    const names: string[] = [];
    storageIoConformance({ test: (name) => names.push(name), create: withDefect(() => ({})) });
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(defects)('notices when %s', async (_defect, noticedBy, create) => {
    await expectNotice(noticedBy, create);
  });

  it.each(lies)('notices, with power cuts, when %s', async (_lie, noticedBy, create) => {
    await expectNotice(noticedBy, create);
    for (const completesInline of [true, false]) {
      await suite(onForgetfulDisk(() => ({}), completesInline)).get(noticedBy)?.();
    }
  });

  it.runIf(existsSync('/dev/full'))('notices on real files when errors are taken for success', async () => {
    const directory = temporaryDirectory();
    const run = (replaced: (io: StorageIo) => Partial<StorageIo>) =>
      suite(() => ({ io: altered(createSyncFsStorageIo(), replaced), directory })).get(
        'refusals: writes and syncs of a full device end with the error of the system',
      )?.();
    await run(() => ({}));
    await expect(run((io) => ({ submitDatasync: (file) => nothingDone(io, file) }))).rejects.toThrow('a sync');
    await expect(
      run((io) => ({ submitWrite: (file, { length }) => io.submitRead(file, new Uint8Array(length), 0) })),
    ).rejects.toThrow('ENOSPC');
    // A file of which nothing was written need not be synced.
    await run((io) => {
      const written = new Set<string>();
      return {
        submitWrite: (file, data, offset) => {
          const token = io.submitWrite(file, data, offset);
          if (file.path !== '/dev/full') written.add(file.path);
          return token;
        },
        submitDatasync: (file) => (written.has(file.path) ? io.submitDatasync(file) : nothingDone(io, file)),
      };
    });
  });

  it('notices on real files when offsets are taken modulo 4 GiB, and when second names do not count', async () => {
    const wrong: Readonly<Record<string, (io: StorageIo) => Partial<StorageIo>>> = {
      'data: reading returns what was written many MiB after the beginning of a file': (io) => ({
        submitWrite: (file, data, offset, options) => io.submitWrite(file, data, offset % 2 ** 32, options),
        submitRead: (file, into, offset) => io.submitRead(file, into, offset % 2 ** 32),
      }),
      'files: links counts a second name of a real file': () => ({ links: () => 1 }),
    };
    for (const [name, replaced] of Object.entries(wrong)) {
      for (const isWrong of [false, true]) {
        const directory = temporaryDirectory();
        const tests = suite(() => ({
          io: altered(createSyncFsStorageIo(), isWrong ? replaced : () => ({})),
          directory,
        }));
        expect([...tests.keys()]).toContain(name);
        const run = tests.get(name)?.();
        await (isWrong ? expect(run).rejects.toThrow() : run);
      }
    }
  });

  it('notices a lock that holds in one process only', async () => {
    const directory = temporaryDirectory();
    const held = new Set<string>();
    const create = () => ({
      io: altered(createSyncFsStorageIo(), () => ({
        lock: (path) => {
          if (held.has(path)) throw new WalError('WAL_LOCKED', 'locked', { path, holder: 'this process' });
          held.add(path);
          return () => held.delete(path);
        },
      })),
      directory,
    });
    const tests = new Map<string, () => Promise<void>>();
    const otherProcess = new URL('conformance-process.mjs?sync-fs', import.meta.url);
    storageIoConformance({ test: (name, run) => tests.set(name, run), create, otherProcess });
    const run = tests.get('locks: a lock excludes another process, and is free when that process was killed');
    await expect(run?.()).rejects.toThrow('WAL_LOCKED');
  });

  it.each(defects)('passes a backend without the defect: %s', async (_defect, noticedBy) => {
    await suite(withDefect(() => ({}))).get(noticedBy)?.();
  });
});
