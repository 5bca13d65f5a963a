import { checkInteger } from '@walstack/codec';

/**
 * Where {@link StorageIo.pollCompletions} puts what has finished: two arrays of the caller's, so that no object is made
 * for a completion.
 */
export class CompletionBuffer {
  /** How many completions fit. */
  readonly capacity: number;
  /** The tokens of what finished. */
  readonly tokens: Float64Array;
  /** Beside each token its result: bytes, 0, or a negative error number of libuv's. */
  readonly results: Int32Array;

  /** @param capacity - completions, 1 to 65,536; default 256 */
  constructor(capacity = 256) {
    this.capacity = checkInteger('capacity', capacity, 1, 65_536);
    this.tokens = new Float64Array(capacity);
    this.results = new Int32Array(capacity);
  }
}
