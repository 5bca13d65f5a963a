import type { Random } from '../../random.js';
import type { Piece, RecordedWrite } from './recorded-disk.js';

const whole = (write: RecordedWrite): Piece => ({ write, from: 0, count: write.sectors });

/** What survives a power cut of what was not durable, in the order of submission: nothing, all, some writes, or some sectors of them. */
export function survivorsOf(writes: readonly RecordedWrite[], random: Random): Piece[] {
  const kind = random.next();
  if (kind < 0.2) return [];
  if (kind < 0.35) return writes.map(whole);
  const likelihood = random.pick([0.1, 0.5, 0.9]);
  if (kind < 0.65) return writes.filter(() => random.chance(likelihood)).map(whole);
  return writes.flatMap((write) => torn(write, likelihood, random));
}

/** A write is there as a whole, up to somewhere, from somewhere on, or each sector by itself. */
function torn(write: RecordedWrite, likelihood: number, random: Random): Piece[] {
  const kind = random.next();
  if (kind < 0.4) return random.chance(likelihood) ? [whole(write)] : [];
  const middle = random.integer(0, write.sectors);
  if (kind < 0.6) return [{ write, from: 0, count: middle }];
  if (kind < 0.7) return [{ write, from: middle, count: write.sectors - middle }];
  const sectors = Array.from({ length: write.sectors }, (_, from) => ({ write, from, count: 1 }));
  return sectors.filter(() => random.chance(likelihood));
}

/** Sectors of 4 KiB, which disks of today write as one, whatever they say. */
const BLOCK_SECTORS = 8;

/** The same, but no block of 4 KiB is torn: of each there is all that was written, or nothing, as of its first sector. */
export function withWholeBlocks(pieces: readonly Piece[]): Piece[] {
  return pieces.flatMap(({ write, from, count }) => {
    const { sector, sectors } = write;
    const whole: Piece[] = [];
    for (let first = 0; first < sectors; ) {
      const end = Math.min(sectors, first + BLOCK_SECTORS - ((sector + first) % BLOCK_SECTORS));
      if (first >= from && first < from + count) whole.push({ write, from: first, count: end - first });
      first = end;
    }
    return whole;
  });
}
