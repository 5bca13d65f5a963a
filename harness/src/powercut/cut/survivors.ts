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
