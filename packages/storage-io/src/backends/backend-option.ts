import { checkOneOf, invalidType } from '@walstack/codec/internal';
import { CompletionRouter } from '../routines/completion-router.js';
import type { StorageIo } from '../storage-io.js';
import { openStorageIo, STORAGE_IO_NAMES, type StorageIoName, type StorageIoNeeds } from './open-storage-io.js';

/** A backend, and whether it was opened here, so that it has to be disposed of here as well. */
export interface Backend {
  readonly io: StorageIo;
  readonly owned: boolean;
}

/**
 * The backend of an option `io`: the one that is passed, or a new one of the name that is given, `'auto'` by default.
 *
 * @throws like `openStorageIo`
 */
export function backendOf(option: StorageIo | StorageIoName | undefined, needs: StorageIoNeeds): Backend {
  const checked = checkBackend(option);
  if (typeof checked === 'object') return { io: checked, owned: false };
  return { io: openStorageIo(checked, { needs }), owned: true };
}

/** Checks an option `io`, and opens nothing. @throws `TypeError`, `RangeError` with Node's codes */
export function checkBackend(option: StorageIo | StorageIoName | undefined): StorageIo | StorageIoName | undefined {
  if (option === undefined) return undefined;
  if (typeof option === 'string') return checkOneOf('io', option, STORAGE_IO_NAMES);
  if (typeof option?.submitWrite === 'function') return option;
  throw invalidType('io', 'a StorageIo or the name of a backend', option);
}

/** Disposes of a backend that was opened here, once nothing waits for a completion of it any more. */
export async function releaseBackend({ io, owned }: Backend): Promise<void> {
  if (!owned) return;
  await CompletionRouter.for(io).settled();
  await io.dispose();
}
