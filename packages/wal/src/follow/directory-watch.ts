import { type FSWatcher, watch } from 'node:fs';
import type { Environment } from '@walstack/segmented';
import { callListener } from '@walstack/storage-io/internal';
import type { LogActivity } from './log-activity.js';

const LONGEST_MS = 0x7fff_ffff;

/**
 * Notifies about possible changes of a directory that another process writes: by the events of the operating system, and by
 * polling as well, because not every file system reports changes.
 */
export class DirectoryWatch {
  readonly #activity: LogActivity;
  readonly #setTimer: Environment['setTimer'];
  readonly #pollMs: number;
  #watcher: FSWatcher | undefined;
  /** Keeps the process alive as a watcher would, when there is none. */
  #alive: NodeJS.Timeout | undefined;
  #cancel: (() => void) | undefined;

  /** @param realFiles - whether the directory is in the operating system's file system */
  constructor(
    directory: string,
    realFiles: boolean,
    pollMs: number,
    setTimer: Environment['setTimer'],
    activity: LogActivity,
  ) {
    this.#activity = activity;
    this.#setTimer = setTimer;
    this.#pollMs = pollMs;
    this.#cancel = setTimer(this.#poll, pollMs);
    if (realFiles) this.#watch(directory);
  }

  close(): void {
    const cancel = this.#cancel;
    this.#cancel = undefined;
    // What the timer of the application throws does not prevent the rest from being released.
    if (cancel !== undefined) callListener(cancel, undefined);
    clearInterval(this.#alive);
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Without a watcher, for example at the limit of inotify watches, polling continues; its timer may not keep the process alive. */
  #watch(directory: string): void {
    const stayAlive = (): void => {
      this.#alive ??= setInterval(() => {}, LONGEST_MS);
    };
    try {
      const watcher = watch(directory, () => this.#activity.notify());
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
    this.#activity.notify();
  };
}
