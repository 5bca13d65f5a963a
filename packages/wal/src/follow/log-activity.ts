/** Counts what happens to a log, and wakes what waits for it. */
export class Progress {
  readonly #waiting = new Set<() => void>();
  #count = 0;

  /** So many things have happened. */
  get count(): number {
    return this.#count;
  }

  /** Something was written, has become durable, or has ended. */
  made(): void {
    this.#count++;
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Resolves when more has happened than `seen`, or at once when `signal` is aborted. */
  async beyond(seen: number, signal: AbortSignal): Promise<void> {
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
