import { checkBoolean, checkInteger, checkOptions, optionNames, outOfRange } from '@walstack/codec/internal';
import type { AsyncFileOps, FileNamespaceOps, FileOpsOptions, SyncFileOps } from '../engine/file-ops.js';
import { fromAsyncFileOps, fromSyncFileOps } from '../engine/from-file-ops.js';
import type { StorageIo } from '../storage-io.js';
import type { Device } from './disk/device.js';
import type { Begun, ProcessFiles, ProcessSettings, SimulatedHandle } from './process-files.js';
import type { Random } from './random.js';

/** Options of {@link SimulatedDisk.createStorageIo}. */
export interface SimulatedIoOptions extends FileOpsOptions {
  /** The work is done inside `submit*`. With `false`, operations take time and overtake each other. Default `true`. */
  readonly completesInline?: boolean;
  /** The thread can wait for completions. May be `false` only for a backend that does not complete inline. Default `true`. */
  readonly canWait?: boolean;
  /** Report that several writes to one file can overlap. Default `false`. */
  readonly overlappedWrites?: boolean;
  /** Have durable writes: each makes its own sectors durable, and nothing else. Default `false`. */
  readonly durableWrites?: boolean;
  /** Have locks on open files. Default `true`. */
  readonly fileLocks?: boolean;
  /** Allow direct I/O with this alignment in bytes, a power of two of at least 2; 1 refuses it. Default 1. */
  readonly directAlignment?: number;
  /** Carry out writes in pieces, chosen by the disk's seed. Default `false`. */
  readonly shortWrites?: boolean;
  /** The maximum duration of an operation, in ticks of simulated time (µs), 1 to 1,000,000. Default 8. */
  readonly latencyTicks?: number;
}

/** The options with defaults filled in. */
export type IoSettings = Required<Omit<SimulatedIoOptions, 'maxPending'>>;

const KNOWN = optionNames<SimulatedIoOptions>({
  completesInline: true,
  canWait: true,
  overlappedWrites: true,
  durableWrites: true,
  fileLocks: true,
  directAlignment: true,
  shortWrites: true,
  latencyTicks: true,
  maxPending: true,
});

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkIoOptions(options: SimulatedIoOptions): IoSettings {
  const {
    completesInline = true,
    canWait = true,
    overlappedWrites = false,
    durableWrites = false,
    fileLocks = true,
    directAlignment = 1,
    shortWrites = false,
    latencyTicks = 8,
  } = checkOptions('options', options, KNOWN);
  checkBoolean('completesInline', completesInline);
  checkBoolean('canWait', canWait);
  if (completesInline && !canWait) throw outOfRange('canWait', 'true where completesInline is', canWait);
  checkInteger('directAlignment', directAlignment, 1, 65_536);
  if ((directAlignment & (directAlignment - 1)) !== 0) {
    throw outOfRange('directAlignment', 'a power of two', directAlignment);
  }
  return {
    completesInline,
    canWait,
    overlappedWrites: checkBoolean('overlappedWrites', overlappedWrites),
    durableWrites: checkBoolean('durableWrites', durableWrites),
    fileLocks: checkBoolean('fileLocks', fileLocks),
    directAlignment,
    shortWrites: checkBoolean('shortWrites', shortWrites),
    latencyTicks: checkInteger('latencyTicks', latencyTicks, 1, 1_000_000),
  };
}

/** The view of the disk for these settings. */
export const processSettings = (settings: IoSettings): ProcessSettings => ({
  takesTime: !settings.completesInline,
  shortWrites: settings.shortWrites,
  alignment: settings.directAlignment,
});

function namespaceOps(files: ProcessFiles, settings: IoSettings): FileNamespaceOps<SimulatedHandle> {
  const { directAlignment } = settings;
  return {
    name: 'simulation',
    realFiles: false,
    overlappedWrites: settings.overlappedWrites,
    open: (path, flags) => files.open(path, flags),
    close: (handle) => files.close(handle),
    size: (handle) => files.size(handle),
    links: (handle) => files.links(handle),
    list: (path) => files.list(path),
    rename: (from, to) => files.rename(from, to),
    link: (from, to) => files.link(from, to),
    makeDirectory: (path, mode) => files.makeDirectory(path, mode),
    stat: (path) => files.stat(path),
    lock: (path, mode) => files.lock(path, mode),
    ...(settings.fileLocks ? { lockFile: (handle, mode) => files.lockFile(handle, mode) } : {}),
    ...(directAlignment > 1
      ? { directAlignment: () => directAlignment, allocateBuffer: (bytes) => new Uint8Array(bytes) }
      : {}),
  };
}

/** A backend whose operations are done when the submission returns. */
export function inlineStorageIo(files: ProcessFiles, settings: IoSettings, options: FileOpsOptions): StorageIo {
  const ops: SyncFileOps<SimulatedHandle> = {
    ...namespaceOps(files, settings),
    read: (handle, into, offset) => files.read(handle, into, offset).finish(),
    write: (handle, data, offset) => files.write(handle, data, offset, false).finish(),
    ...(settings.durableWrites
      ? { writeDurable: (handle, data, offset) => files.write(handle, data, offset, true).finish() }
      : {}),
    datasync: (handle) => void files.datasync(handle).finish(),
    truncate: (handle, bytes) => void files.truncate(handle, bytes).finish(),
    allocate: (handle, offset, bytes) => void files.allocate(handle, offset, bytes).finish(),
    remove: (path) => void files.remove(path).finish(),
    syncDirectory: (path) => void files.syncDirectory(path).finish(),
  };
  return fromSyncFileOps(ops, options);
}

type Answer = (error: Error | null, count?: number) => void;

/** A backend whose operations take simulated time and overtake each other. */
export function delayedStorageIo(
  files: ProcessFiles,
  device: Device,
  random: Random,
  settings: IoSettings,
  options: FileOpsOptions,
): StorageIo {
  const start = (begun: Begun, answer: Answer): void => {
    device.start(settings.latencyTicks, () => {
      if (!files.alive) {
        leave(begun, device, settings.latencyTicks * LATE, random);
        return;
      }
      let count: number;
      try {
        count = begun.finish();
      } catch (error) {
        answer(error as Error);
        return;
      }
      answer(null, count);
    });
  };
  const ops: AsyncFileOps<SimulatedHandle> = {
    ...namespaceOps(files, settings),
    read: (handle, into, offset, done) => start(files.read(handle, into, offset), done),
    write: (handle, data, offset, done) => start(files.write(handle, data, offset, false), done),
    ...(settings.durableWrites
      ? { writeDurable: (handle, data, offset, done) => start(files.write(handle, data, offset, true), done) }
      : {}),
    datasync: (handle, done) => start(files.datasync(handle), done),
    truncate: (handle, bytes, done) => start(files.truncate(handle, bytes), done),
    allocate: (handle, offset, bytes, done) => start(files.allocate(handle, offset, bytes), done),
    remove: (path, done) => start(files.remove(path), done),
    syncDirectory: (path, done) => start(files.syncDirectory(path), done),
    ...(settings.canWait ? { wait: (enough, timeoutMs) => device.wait(enough, timeoutMs) } : {}),
  };
  return fromAsyncFileOps(ops, options);
}

/** So many times the longest duration of an operation takes one of a killed process at most. */
const LATE = 128;

/**
 * An operation of a killed process: it is completed or not, perhaps when others have done much meanwhile, and there is no
 * callback.
 */
function leave(begun: Begun, device: Device, latencyTicks: number, random: Random): void {
  if (random.chance(0.5)) {
    begun.abandon();
    return;
  }
  const isLate = random.chance(0.5);
  if (isLate) device.start(latencyTicks, () => land(begun));
  else land(begun);
}

function land(begun: Begun): void {
  try {
    begun.finish();
  } catch {
    // There is no caller any more to report the failure to.
  }
}
