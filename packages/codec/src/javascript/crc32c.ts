/** Castagnoli's polynomial, reflected. */
const POLYNOMIAL = 0x82f63b78;

/** Bytes that one step of the loop processes. */
const SLICES = 16;

/**
 * Sixteen tables of 256 entries, one after another: entry `256 * n + b` is the CRC of byte `b` followed by n zero bytes.
 * "Slicing-by-16", of M. E. Kounavis and F. L. Berry, *A Systematic Approach to Building High Performance Software-based
 * CRC Generators*, 2005.
 */
function makeTables(): Int32Array {
  const tables = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let index = 256; index < tables.length; index++) {
    const previous = tables[index - 256] as number;
    tables[index] = (previous >>> 8) ^ (tables[previous & 0xff] as number);
  }
  return tables;
}

/**
 * Continues `seed`, the CRC32C of the bytes before `start`. The range is not checked. The result is signed: V8 stores an
 * integer beyond 31 bits as a heap object, and an unsigned result would allocate one for every frame.
 */
export const continueCrc32c = makeContinue();

/**
 * The tables are a constant of a function and not of the module: bundlers turn a module constant into a `var`, and then
 * the compiler can rely neither on its identity nor on its length. This, and loads of four bytes instead of one, halve
 * the time (measured).
 */
function makeContinue(): (view: DataView, start: number, end: number, seed: number) => number {
  const t = makeTables();

  return (view, start, end, seed) => {
    let crc = ~seed;
    let at = start;
    for (const stop = end - 15; at < stop; at += 16) {
      const a = crc ^ view.getInt32(at, true);
      const b = view.getInt32(at + 4, true);
      const c = view.getInt32(at + 8, true);
      const d = view.getInt32(at + 12, true);
      crc =
        (t[3840 + (a & 0xff)] as number) ^
        (t[3584 + ((a >>> 8) & 0xff)] as number) ^
        (t[3328 + ((a >>> 16) & 0xff)] as number) ^
        (t[3072 + (a >>> 24)] as number) ^
        // Independent of the previous CRC: grouped, so that the processor computes it in parallel with the lines above.
        ((t[2816 + (b & 0xff)] as number) ^
          (t[2560 + ((b >>> 8) & 0xff)] as number) ^
          (t[2304 + ((b >>> 16) & 0xff)] as number) ^
          (t[2048 + (b >>> 24)] as number) ^
          (t[1792 + (c & 0xff)] as number) ^
          (t[1536 + ((c >>> 8) & 0xff)] as number) ^
          (t[1280 + ((c >>> 16) & 0xff)] as number) ^
          (t[1024 + (c >>> 24)] as number) ^
          (t[768 + (d & 0xff)] as number) ^
          (t[512 + ((d >>> 8) & 0xff)] as number) ^
          (t[256 + ((d >>> 16) & 0xff)] as number) ^
          (t[d >>> 24] as number));
    }
    for (const stop = end - 3; at < stop; at += 4) {
      crc ^= view.getInt32(at, true);
      crc =
        (t[768 + (crc & 0xff)] as number) ^
        (t[512 + ((crc >>> 8) & 0xff)] as number) ^
        (t[256 + ((crc >>> 16) & 0xff)] as number) ^
        (t[crc >>> 24] as number);
    }
    for (; at < end; at++) crc = (crc >>> 8) ^ (t[(crc ^ view.getUint8(at)) & 0xff] as number);
    return ~crc;
  };
}

/**
 * Continues `seed` byte by byte and stores every intermediate CRC32C: `into[0]` is the seed, and `into[n]` continues it
 * over the first n bytes of the range. Neither the range is checked nor whether `into` has one entry more than the range
 * has bytes.
 */
export const notePrefixes = makeNotePrefixes();

function makeNotePrefixes(): (bytes: Uint8Array, start: number, end: number, seed: number, into: Uint32Array) => void {
  const t = makeTables();

  return (bytes, start, end, seed, into) => {
    let crc = ~seed;
    into[0] = seed;
    for (let at = start, index = 1; at < end; at++, index++) {
      crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 0xff] as number);
      into[index] = ~crc;
    }
  };
}

/** Polynomials are bit-reflected: the highest bit is x^0. */
const X_TO_THE_8 = 0x80_0000;
const ONE = 0x8000_0000 | 0;

/**
 * Table n holds x^(8 * 256^n * b) for each byte b: the factor by which b * 256^n zero bytes multiply a CRC. Created
 * when needed.
 */
const powers: Int32Array[] = [];

function powersOf(place: number): Int32Array {
  const found = powers[place];
  if (found !== undefined) return found;
  const below = place === 0 ? undefined : powersOf(place - 1);
  const step = below === undefined ? X_TO_THE_8 : times(below[255] as number, below[1] as number);
  const table = new Int32Array(256);
  table[0] = ONE;
  for (let byte = 1; byte < 256; byte++) table[byte] = times(table[byte - 1] as number, step);
  powers[place] = table;
  return table;
}

/** The product of two polynomials over GF(2), modulo Castagnoli's. */
function times(a: number, b: number): number {
  let product = 0;
  let power = b;
  for (let bit = 31; bit >= 0; bit--) {
    product ^= power & -((a >>> bit) & 1);
    power = (power >>> 1) ^ (POLYNOMIAL & -(power & 1));
  }
  return product;
}

/** The CRC32C of two adjacent ranges, from the CRC of each and the length of the second one. */
export function combine(first: number, second: number, secondBytes: number): number {
  let crc = first;
  for (let left = secondBytes, place = 0; left > 0; left = Math.floor(left / 256), place++) {
    const byte = left % 256;
    if (byte !== 0) crc = times(powersOf(place)[byte] as number, crc);
  }
  return crc ^ second;
}
