import type { DeleteEntry, PutEntry } from '@walstack/percore';
import { Random } from '../../random.js';
import type { LogOptions } from '../job.js';
import { Contents, type ReadBack } from './contents.js';

/** A put as it is appended. */
interface Put {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** At the beginning of each key: the run in 4 bytes, the number in 6. */
const NUMBERS_BYTES = 10;

/** What the puts of one core are: as the records of a log, with the number of the put for the LSN. */
export class Puts {
  readonly contents: Contents;
  readonly #seed: number;

  constructor(seed: number, core: number, options: LogOptions) {
    this.#seed = new Random(seed, core).seed();
    this.contents = new Contents(this.#seed, options, { scopes: false });
  }

  /** The put that a run appends with this number. */
  of(run: number, number: number): Put {
    const { payload, options } = this.contents.of(run, number);
    return { key: keyOf(run, number, options.meta ?? ''), value: payload };
  }

  /** The key that a run removes right behind the put with this number; `undefined` when it removes none. */
  removedBehind(run: number, number: number): Uint8Array | undefined {
    const isRemoved = new Random(this.#seed, run, number, REMOVED.length).chance(0.05);
    return isRemoved ? keyOf(run, number, REMOVED) : undefined;
  }
}

const REMOVED = 'removed';

function keyOf(run: number, number: number, rest: string | Uint8Array): Uint8Array {
  const numbers = Buffer.alloc(NUMBERS_BYTES);
  numbers.writeUInt32LE(run, 0);
  numbers.writeUIntLE(number, 4, 6);
  return Buffer.concat([numbers, Buffer.from(rest)]);
}

/** The source of a core, of which is committed how many puts were made of it. */
export const sourceOf = (core: number): string => `core-${core}`;

/** What a put says it is. */
export function readPut({ key, value, coreId, sequence }: PutEntry): ReadBack {
  return {
    ...numbersOf({ key, coreId, sequence }),
    meta: key.subarray(NUMBERS_BYTES),
    payload: value,
    scope: undefined,
  };
}

/** The run and the number that a key begins with. */
export function numbersOf({ key, coreId, sequence }: Pick<DeleteEntry, 'key' | 'coreId' | 'sequence'>): {
  readonly type: number;
  readonly lsn: number;
} {
  if (key.length < NUMBERS_BYTES) throw new Error(`the key with LSN ${sequence} of core ${coreId} has no number`);
  const numbers = Buffer.from(key.buffer, key.byteOffset, NUMBERS_BYTES);
  return { type: numbers.readUInt32LE(0), lsn: numbers.readUIntLE(4, 6) };
}
