import { WalError } from '@walstack/codec';
import { checkInteger, checkOneOf, checkOptions, optionNames, outOfRange } from '@walstack/codec/internal';
import type { FileOpsOptions } from '../engine/file-ops.js';
import type { StorageIo } from '../storage-io.js';
import { createIoUringStorageIo } from './io-uring/io-uring.js';
import { createMemoryStorageIo } from './memory/memory.js';
import { createSyncFsStorageIo } from './node-fs/sync-fs.js';
import { createThreadPoolStorageIo } from './node-fs/thread-pool.js';

/** The names that {@link openStorageIo} accepts. */
export type StorageIoName = 'auto' | 'io-uring' | 'thread-pool' | 'sync-fs' | 'memory';

/** What a backend must be able to do. */
export type StorageIoNeeds = 'async' | 'wait';

/** Options of {@link openStorageIo}. */
export interface OpenStorageIoOptions extends FileOpsOptions {
  /** `'async'`: used on the event loop. `'wait'`: the thread can block for completions as well. Default `'async'`. */
  readonly needs?: StorageIoNeeds;
}

type BackendName = Exclude<StorageIoName, 'auto'>;

/** Every backend. */
const BACKENDS: Readonly<Record<BackendName, { create(options: FileOpsOptions): StorageIo; canWait: boolean }>> = {
  'io-uring': { create: createIoUringStorageIo, canWait: true },
  'thread-pool': { create: createThreadPoolStorageIo, canWait: false },
  'sync-fs': { create: createSyncFsStorageIo, canWait: true },
  memory: { create: createMemoryStorageIo, canWait: true },
};

/** Every name of a backend, and `'auto'`. */
export const STORAGE_IO_NAMES: readonly StorageIoName[] = ['auto', 'io-uring', 'thread-pool', 'sync-fs', 'memory'];
const OPTIONS = optionNames<OpenStorageIoOptions>({ needs: true, maxPending: true });
const NEEDS: readonly StorageIoNeeds[] = ['async', 'wait'];

/** What `auto` chooses from, best first, and the values of `WALSTACK_IO`: only backends that store a log on disk. */
const CHOICE: readonly BackendName[] = ['io-uring', 'thread-pool', 'sync-fs'];

/**
 * Makes a backend by its name. `'auto'` takes the best one that works here and meets `needs`: `io-uring`, else
 * `thread-pool`, or `sync-fs` where waiting is needed. The environment variable `WALSTACK_IO` (`io-uring`,
 * `thread-pool` or `sync-fs`) overrides `'auto'`, unless the backend that it names does not meet `needs`.
 *
 * @param name - default `'auto'`
 * @throws `WAL_UNSUPPORTED` when the backend that is named, here or in `WALSTACK_IO`, does not work here, or when the
 * one that is named here does not meet `needs`; `RangeError` (`ERR_OUT_OF_RANGE`) for an unknown name, here or in
 * `WALSTACK_IO`
 */
export function openStorageIo(name: StorageIoName = 'auto', options: OpenStorageIoOptions = {}): StorageIo {
  checkOneOf('name', name, STORAGE_IO_NAMES);
  checkOptions('options', options, OPTIONS);
  const needs = checkOneOf('needs', options.needs ?? 'async', NEEDS);
  const made = options.maxPending === undefined ? {} : { maxPending: checkInteger('maxPending', options.maxPending) };
  if (name === 'auto') return openBest(needs, made);
  if (does(name, needs)) return BACKENDS[name].create(made);
  throw new WalError(
    'WAL_UNSUPPORTED',
    `the ${name} backend cannot wait: use 'auto' or one of ${CHOICE.filter((each) => does(each, needs)).join(', ')}`,
    { operation: 'open' },
  );
}

function openBest(needs: StorageIoNeeds, options: FileOpsOptions): StorageIo {
  const wanted = wantedByEnvironment();
  if (wanted !== undefined && does(wanted, needs)) return BACKENDS[wanted].create(options);
  for (const name of CHOICE.filter((each) => does(each, needs))) {
    try {
      return BACKENDS[name].create(options);
    } catch (error) {
      if (!WalError.is(error, 'WAL_UNSUPPORTED')) throw error;
    }
  }
  throw new WalError('WAL_UNSUPPORTED', `no backend works here that meets the need '${needs}'`, { operation: 'open' });
}

/** What `WALSTACK_IO` names; `undefined` when it is not set, or empty. */
function wantedByEnvironment(): BackendName | undefined {
  const { WALSTACK_IO: value } = process.env;
  if (value === undefined || value === '') return undefined;
  const wanted = CHOICE.find((each) => each === value);
  if (wanted === undefined) {
    const allowed = CHOICE.map((each) => `'${each}'`).join(', ');
    throw outOfRange('WALSTACK_IO', `one of ${allowed} (it is set in the environment)`, value);
  }
  return wanted;
}

const does = (backend: BackendName, needs: StorageIoNeeds): boolean => needs === 'async' || BACKENDS[backend].canWait;
