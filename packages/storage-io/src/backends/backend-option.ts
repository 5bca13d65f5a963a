import { invalidType } from '@walstack/codec/internal';
import { CompletionRouter } from '../routines/completion-router.js';
import type { StorageIo } from '../storage-io.js';
import { openStorageIo, type StorageIoName, type StorageIoNeeds } from './open-storage-io.js';

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
  if (option === undefined || typeof option === 'string') {
    return { io: openStorageIo(option, { needs }), owned: true };
  }
  if (typeof option?.submitWrite !== 'function') {
    throw invalidType('io', 'a StorageIo or the name of a backend', option);
  }
  return { io: option, owned: false };
}

/** Disposes of a backend that was opened here, once nothing waits for a completion of it any more. */
export async function releaseBackend({ io, owned }: Backend): Promise<void> {
  if (!owned) return;
  await CompletionRouter.for(io).settled();
  await io.dispose();
}
