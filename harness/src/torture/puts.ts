import type { PutEntry } from '@walstack/percore';
import { Random } from '../random.js';
import { Contents, type ReadBack } from './contents.js';
import type { LogOptions } from './job.js';

/** A put as it is appended. */
interface Put {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** At the beginning of each key: the life in 4 bytes, the number in 6. */
const NUMBERS_BYTES = 10;

/** What the puts of one core are: as the records of a log, with the number of the put for the LSN. */
export class Puts {
  readonly contents: Contents;

  constructor(seed: number, core: number, options: LogOptions) {
    this.contents = new Contents(new Random(seed, core).seed(), options, { scopes: false });
  }

  /** The put that a life appends with this number. */
  of(life: number, number: number): Put {
    const { payload, options } = this.contents.of(life, number);
    const numbers = Buffer.alloc(NUMBERS_BYTES);
    numbers.writeUInt32LE(life, 0);
    numbers.writeUIntLE(number, 4, 6);
    return { key: Buffer.concat([numbers, Buffer.from(options.meta ?? '')]), value: payload };
  }
}

/** The source of a core, of which is committed how many puts were made of it. */
export const sourceOf = (core: number): string => `core-${core}`;

/** What a put says it is. */
export function readPut({ key, value, coreId, sequence }: PutEntry): ReadBack {
  if (key.length < NUMBERS_BYTES) throw new Error(`the put with LSN ${sequence} of core ${coreId} has no number`);
  const numbers = Buffer.from(key.buffer, key.byteOffset, NUMBERS_BYTES);
  return {
    type: numbers.readUInt32LE(0),
    lsn: numbers.readUIntLE(4, 6),
    meta: key.subarray(NUMBERS_BYTES),
    payload: value,
    scope: undefined,
  };
}
