import { type FSWatcher, watch } from 'node:fs';
import type { Environment } from '@walstack/segmented';
import type { Progress } from './log-activity.js';

const LONGEST_MS = 0x7fff_ffff;

/**
 * Tells that a directory may have changed which another process writes to: what the operating system says, and every so
 * often in any case, as not every file system says something.
 */
export class DirectoryWatch {
  readonly #progress: Progress;
  readonly #setTimer: Environment['setTimer'];
  readonly #pollMs: number;
  #watcher: FSWatcher | undefined;
  /** Keeps the process alive as a watcher would, where there is none. */
  #alive: NodeJS.Timeout | undefined;
  #cancel: () => void;

  /** @param realFiles - whether the directory is one of the operating system */
  constructor(
    directory: string,
    realFiles: boolean,
    pollMs: number,
    setTimer: Environment['setTimer'],
    progress: Progress,
  ) {
    this.#progress = progress;
    this.#setTimer = setTimer;
    this.#pollMs = pollMs;
    if (realFiles) this.#watch(directory);
    this.#cancel = setTimer(this.#poll, pollMs);
  }

  close(): void {
    this.#cancel();
    clearInterval(this.#alive);
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Polling goes on without a watcher, say for want of watches; its timer need not keep the process alive. */
  #watch(directory: string): void {
    const stayAlive = (): void => {
      this.#alive ??= setInterval(() => {}, LONGEST_MS);
    };
    try {
      const watcher = watch(directory, () => this.#progress.made());
      watcher.on('error', () => {
        watcher.close();
        if (this.#watcher === watcher) stayAlive();
      });
      this.#watcher = watcher;
    } catch {
      stayAlive();
    }
  }

  readonly #poll = (): void => {
    this.#cancel = this.#setTimer(this.#poll, this.#pollMs);
    this.#progress.made();
  };
}
