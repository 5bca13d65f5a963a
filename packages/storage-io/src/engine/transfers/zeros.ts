import type { IoFile } from '../../storage-io.js';
import type { FileNamespaceOps } from '../file-ops.js';

const ZEROS_BYTES = 256 * 1024;

const ZEROS = new Uint8Array(ZEROS_BYTES);

/** Zeros for filling files, in memory that is aligned where direct I/O needs it. */
export class Zeros {
  readonly #ops: Pick<FileNamespaceOps<never>, 'allocateBuffer'>;
  #aligned: Uint8Array | undefined;

  constructor(ops: Pick<FileNamespaceOps<never>, 'allocateBuffer'>) {
    this.#ops = ops;
  }

  /** Zeros for one write of a fill. */
  for(file: IoFile): Uint8Array {
    if (!file.direct) return ZEROS;
    this.#aligned ??= this.#ops.allocateBuffer?.(ZEROS_BYTES) ?? ZEROS;
    return this.#aligned;
  }
}

/** The last multiple of `alignment` that is not above `offset`. */
export const roundDown = (offset: number, alignment: number): number => offset - (offset % alignment);

/** The first multiple of `alignment` that is not below `offset`. */
export const roundUp = (offset: number, alignment: number): number => roundDown(offset + alignment - 1, alignment);
