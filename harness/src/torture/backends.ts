import { WalError } from '@walstack/codec';
import type { LogOptions } from '@walstack/percore';
import { openStorageIo, type StorageIoName } from '@walstack/storage-io';

/** A way to keep a log on real files. */
export interface Backend {
  /** What `--backend` calls it. */
  readonly name: string;
  /** The options of a log that is kept like this. */
  readonly options: LogOptions & { readonly io: StorageIoName };
}

/** Every backend on real files. A line here, and it is tortured like the others. */
const BACKENDS: readonly Backend[] = [
  { name: 'sync-fs', options: { io: 'sync-fs' } },
  { name: 'thread-pool', options: { io: 'thread-pool' } },
  { name: 'io-uring', options: { io: 'io-uring' } },
];

export const BACKEND_NAMES: readonly string[] = BACKENDS.map(({ name }) => name);

/** The backend with this name. */
export function backendNamed(name: string): Backend {
  const found = BACKENDS.find((backend) => backend.name === name);
  if (found === undefined) throw new RangeError(`there is no backend "${name}"`);
  return found;
}

/** Whether a thread can wait on a backend, as the `…Sync` calls do. */
export const canWait = (backend: Backend): Promise<boolean> => opens(backend, 'wait');

/** Whether a backend works on this machine. */
export const isAvailable = (backend: Backend): Promise<boolean> => opens(backend, 'async');

async function opens({ options: { io } }: Backend, needs: 'async' | 'wait'): Promise<boolean> {
  try {
    await openStorageIo(io, { needs }).dispose();
    return true;
  } catch (error) {
    if (WalError.is(error, 'WAL_UNSUPPORTED')) return false;
    throw error;
  }
}
