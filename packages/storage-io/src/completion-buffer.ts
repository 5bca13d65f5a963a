import { checkInteger } from '@walstack/codec/internal';

/**
 * Receives completions from {@link StorageIo.pollCompletions}: two arrays that the caller owns, so that no object is
 * allocated for a completion.
 */
export class CompletionBuffer {
  /** How many completions fit. */
  readonly capacity: number;
  /** The tokens of the completed submissions. */
  readonly tokens: Float64Array;
  /** The result of the token at the same index: bytes, 0, or a negative libuv error number. */
  readonly results: Int32Array;

  /** @param capacity - completions, 1 to 65,536; default 256 */
  constructor(capacity = 256) {
    this.capacity = checkInteger('capacity', capacity, 1, 65_536);
    this.tokens = new Float64Array(capacity);
    this.results = new Int32Array(capacity);
  }
}
