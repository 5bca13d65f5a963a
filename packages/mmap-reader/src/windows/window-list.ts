import { rangeOf, type Window } from './file-windows.js';

/** The windows of a file that are in memory: the last one, or all of them where they are kept. */
export class WindowList<W extends Window> implements Iterable<W> {
  readonly #size: number;
  readonly #keeps: boolean;
  readonly #make: (base: number, length: number) => W;
  readonly #drop: (windows: readonly W[]) => void;
  readonly #windows: W[] = [];

  /**
   * @param size - of the file
   * @param keeps - windows stay until they are taken away by {@link takeAll}
   * @param make - makes the window of a range
   * @param drop - releases windows before another one is made, unless they are kept
   */
  constructor(
    size: number,
    keeps: boolean,
    make: (base: number, length: number) => W,
    drop: (windows: readonly W[]) => void,
  ) {
    this.#size = size;
    this.#keeps = keeps;
    this.#make = make;
    this.#drop = drop;
  }

  /** A window that begins at or before `position` and has at least `needed` bytes from there on. */
  at(position: number, needed: number): W {
    const found = this.#windows.find(
      ({ base, length }) => base <= position && position < base + length && position + needed <= base + length,
    );
    if (found !== undefined) return found;
    const { base, length } = rangeOf(this.#size, position, needed);
    if (!this.#keeps) this.#drop(this.takeAll());
    const window = this.#make(base, length);
    this.#windows.push(window);
    return window;
  }

  /** The same window once more, after its buffer was transferred away. */
  renew(window: Window): W {
    const index = this.#indexOf(window);
    // Another reader may have renewed it already.
    if (index === -1) return this.at(window.base, window.length);
    const again = this.#make(window.base, window.length);
    this.#windows[index] = again;
    return again;
  }

  /** The window as it was made; `undefined` when it is not in the list. */
  find(window: Window): W | undefined {
    return this.#windows[this.#indexOf(window)];
  }

  /** Takes all windows out of the list, to release them. */
  takeAll(): W[] {
    return this.#windows.splice(0);
  }

  [Symbol.iterator](): Iterator<W> {
    return this.#windows[Symbol.iterator]();
  }

  #indexOf(window: Window): number {
    return (this.#windows as readonly Window[]).indexOf(window);
  }
}
