import { type FSWatcher, watch } from 'node:fs';
import type { World } from '@walstack/segmented';
import type { Progress } from './progress.js';

/**
 * Tells that a directory may have changed which another process writes to: what the operating system says, and every so
 * often in any case, as not every file system says something.
 */
export class DirectoryWatch {
  readonly #progress: Progress;
  readonly #setTimer: World['setTimer'];
  readonly #pollMs: number;
  #watcher: FSWatcher | undefined;
  #cancel: () => void;

  /** @param realFiles - whether the directory is one of the operating system */
  constructor(directory: string, realFiles: boolean, pollMs: number, setTimer: World['setTimer'], progress: Progress) {
    this.#progress = progress;
    this.#setTimer = setTimer;
    this.#pollMs = pollMs;
    this.#watcher = realFiles ? watched(directory, () => this.#progress.made()) : undefined;
    this.#cancel = setTimer(this.#poll, pollMs);
  }

  close(): void {
    this.#cancel();
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  readonly #poll = (): void => {
    this.#cancel = this.#setTimer(this.#poll, this.#pollMs);
    this.#progress.made();
  };
}

/** Watches a directory; `undefined` where that cannot be had, say for want of watches. */
function watched(directory: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, changed);
    // Polling goes on without it.
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
