import { once } from 'node:events';
import type { OutputStream } from './output-stream.js';

const BUFFER_BYTES = 64 * 1024;

/** So long an interrupted command waits until its output is read. */
const INTERRUPTED_MS = 1000;

/** Characters that a terminal obeys, or that change the direction of text. */
const OBEYED = /[\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;

/** Text for a terminal, of which no character is one that it obeys. */
export const shown = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters must not reach the terminal
  text.replace(/[\x00-\x09\x0b-\x1f]/g, '·').replace(OBEYED, '·');

/** The same for a part of a line. */
export const shownInLine = (text: string): string => shown(text).replaceAll('\n', '·');

/**
 * A value as one line of JSON; integers that JavaScript cannot represent are strings. Characters that a terminal obeys are
 * escaped.
 */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value, (_key, each) => (typeof each === 'bigint' ? String(each) : each));
  return text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Standard output: gathers what is written into larger pieces, and waits where the reader of the output is slower. */
export class Output {
  readonly #stream: OutputStream;
  readonly #closed: AbortController;
  readonly #interrupted: AbortSignal | undefined;
  /** Nothing waits any more for room in the stream. */
  readonly #ended: AbortSignal;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  /**
   * @param closed - aborted when nothing reads the output any more
   * @param interrupted - aborted when the command is to end, also where its output is not read and not closed
   */
  constructor(stream: OutputStream, closed: AbortController, interrupted?: AbortSignal) {
    this.#stream = stream;
    this.#closed = closed;
    this.#interrupted = interrupted;
    this.#ended = interrupted === undefined ? closed.signal : AbortSignal.any([closed.signal, interrupted]);
    stream.on('error', this.#failed);
  }

  readonly #failed = (error: NodeJS.ErrnoException): void => {
    // The reader of a pipe has ended, as `head` does: no failure, and nothing more to do.
    this.#closed.abort(error);
  };

  /** Whether nothing reads the output any more. */
  get isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  /** What has ended the output; `undefined` where it is open, or its reader has simply ended. */
  get failure(): unknown {
    const { aborted, reason } = this.#closed.signal;
    return aborted && (reason as NodeJS.ErrnoException).code !== 'EPIPE' ? reason : undefined;
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /** Writes text or bytes. To be awaited where it returns a promise. */
  write(piece: string | Uint8Array): Promise<void> | undefined {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    return this.#bytes < BUFFER_BYTES ? undefined : this.flush();
  }

  /** Writes a line. */
  line(text = ''): Promise<void> | undefined {
    return this.write(`${text}\n`);
  }

  /** Writes a value as one line of JSON, with the characters escaped that a terminal obeys. */
  json(value: unknown): Promise<void> | undefined {
    return this.line(jsonLine(value));
  }

  /** Hands everything gathered to the stream, and waits until there is room for more. */
  async flush(): Promise<void> {
    if (this.#bytes === 0) return;
    const piece = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    if (this.isClosed) return;
    if (this.#stream.write(piece)) return;
    await once(this.#stream, 'drain', { signal: this.#ended }).catch(() => {});
  }

  /**
   * Writes the rest, and waits until the stream has passed it on: once the command is interrupted not for long.
   *
   * @returns whether it was passed on, or nothing reads it any more
   */
  async end(): Promise<boolean> {
    await this.flush();
    const isPassedOn = this.isClosed || (await this.#passedOn());
    this.#stream.removeListener('error', this.#failed);
    // A late error of a reader that has ended.
    this.#stream.on('error', () => {});
    return isPassedOn;
  }

  #passedOn(): Promise<boolean> {
    return new Promise((resolve) => {
      const interrupted = this.#interrupted;
      let timer: NodeJS.Timeout | undefined;
      const settle = (isPassedOn: boolean): void => {
        clearTimeout(timer);
        interrupted?.removeEventListener('abort', interrupt);
        resolve(isPassedOn);
      };
      const interrupt = (): void => {
        timer = setTimeout(settle, INTERRUPTED_MS, false);
      };
      if (interrupted?.aborted === true) interrupt();
      else interrupted?.addEventListener('abort', interrupt, { once: true });
      this.#stream.write('', () => settle(true));
    });
  }
}
