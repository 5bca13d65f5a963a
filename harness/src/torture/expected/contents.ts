import type { AppendOptions, WalRecord } from '@walstack/segmented';
import { Random } from '../../random.js';

/** A record as it is appended. */
export interface Content {
  readonly payload: Uint8Array;
  readonly options: AppendOptions & { readonly type: number };
}

/** A record as it was read back. */
export type ReadBack = Pick<WalRecord, 'lsn' | 'type' | 'payload' | 'meta' | 'scope'>;

const POOL_BYTES = 64 * 1024;
const PIECE_BYTES = 4096;
/** Longer than what a reader takes at a time, a block and all. */
const LONG_BYTES = 400_000;

/**
 * What the records of a log are: each follows from the seed, the generation that appends it and its LSN, and its type is the
 * number of that generation: the run, and behind a cut another one. So every byte of a record that is found is known.
 */
export class Contents {
  readonly #seed: number;
  readonly #blockBytes: number;
  readonly #segmentBytes: number;
  readonly #scopes: boolean;
  readonly #pool = new Uint8Array(POOL_BYTES);

  constructor(
    seed: number,
    { blockBytes, segmentBytes }: { readonly blockBytes: number; readonly segmentBytes: number },
    { scopes }: { readonly scopes: boolean } = { scopes: true },
  ) {
    this.#seed = seed;
    this.#blockBytes = blockBytes;
    this.#segmentBytes = segmentBytes;
    this.#scopes = scopes;
    const random = new Random(seed);
    const words = new Uint32Array(this.#pool.buffer);
    for (let index = 0; index < words.length; index++) words[index] = random.seed();
  }

  /** The record that a generation appends with this LSN. */
  of(generation: number, lsn: number): Content {
    const random = new Random(this.#seed, generation, lsn);
    const payload = this.#bytes(random, this.#length(random));
    const meta = random.chance(0.2) ? { meta: this.#bytes(random, random.integer(1, 60)) } : {};
    const scope =
      this.#scopes && random.chance(0.2) ? { tenantId: random.seed(), databaseId: lsn, vshardId: generation } : {};
    return { payload, options: { type: generation, ...meta, ...scope } };
  }

  /** What is wrong with a record that was read; `undefined` when nothing is. */
  problemOf(record: ReadBack): string | undefined {
    const { payload, options } = this.of(record.type, record.lsn);
    if (Buffer.compare(payload, record.payload) !== 0) return 'its payload is not what was appended';
    if (Buffer.compare(bytesOf(options.meta), record.meta) !== 0) return 'its meta is not what was appended';
    const { tenantId, databaseId, vshardId } = record.scope ?? {};
    const same =
      tenantId === wide(options.tenantId) && databaseId === wide(options.databaseId) && vshardId === options.vshardId;
    return same ? undefined : 'its scope is not what was appended';
  }

  /** Mostly small; some about as large as a block or a segment, some larger. */
  #length(random: Random): number {
    const kind = random.next();
    if (kind < 0.02) return 0;
    if (kind < 0.6) return random.integer(1, 120);
    if (kind < 0.9) return random.integer(100, 1000);
    if (kind < 0.97) return Math.max(0, this.#blockBytes + random.integer(-80, 40));
    if (kind < 0.99) return random.integer(0, this.#segmentBytes);
    if (kind < 0.9995) return random.integer(this.#segmentBytes, 3 * this.#segmentBytes);
    return LONG_BYTES;
  }

  #bytes(random: Random, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += PIECE_BYTES) {
      const from = random.integer(0, POOL_BYTES - PIECE_BYTES);
      bytes.set(this.#pool.subarray(from, from + Math.min(PIECE_BYTES, length - at)), at);
    }
    return bytes;
  }
}

const bytesOf = (meta: AppendOptions['meta']): Uint8Array =>
  meta === undefined ? new Uint8Array(0) : Buffer.from(meta);

const wide = (id: number | bigint | undefined): bigint | undefined => (id === undefined ? undefined : BigInt(id));
