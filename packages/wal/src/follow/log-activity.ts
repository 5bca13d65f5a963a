import type { WalError } from '@walstack/codec';
import type { SegmentedWalConfig } from '@walstack/segmented';

/** Counts the changes of a log, and wakes the calls that wait for one. */
export class LogActivity {
  readonly #waiting = new Set<() => void>();
  #count = 0;

  /** The number of changes so far. */
  get count(): number {
    return this.#count;
  }

  /** Records a change: something was written, became durable, or ended. */
  notify(): void {
    this.#count++;
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Resolves after a change that `seen` does not count, or when `signal` is aborted. */
  async waitBeyond(seen: number, signal: AbortSignal): Promise<void> {
    if (this.#count !== seen || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}

/** Wraps `onFailure` to wake the followers of the log as well. The log checks a wrong value. */
export function notifyingOnFailure(config: SegmentedWalConfig, activity: LogActivity): SegmentedWalConfig {
  const { onFailure } = config;
  if (onFailure !== undefined && typeof onFailure !== 'function') return config;
  const failed = (failure: WalError): void => {
    activity.notify();
    onFailure?.(failure);
  };
  return { ...config, onFailure: failed };
}
