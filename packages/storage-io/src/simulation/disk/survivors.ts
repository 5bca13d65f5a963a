import { invalidType, outOfRange } from '@walstack/codec/internal';
import { inTurns, Random } from '../random.js';
import type { Ask, Unsynced } from './unsynced.js';

/**
 * Which unsynced items survive a crash, as a text that can be stored and repeated. Names and sizes are metadata,
 * numbered together from 0; sectors are numbered separately.
 *
 * | words | what survives |
 * | --- | --- |
 * | `'all'`, `'none'` | everything, nothing |
 * | `'only-metadata:2'` | the metadata change of number 2 |
 * | `'only-sector:5'` | all metadata, and of the sectors that of number 5 |
 * | `'all-but-metadata:2'`, `'all-but-sector:5'` | everything but that one |
 * | `'random:77'` | as chance has it that comes from the seed 77 |
 * | `'stale:77'` | the same, and a file that has grown may hold what other files had held there, or any bytes |
 */
export type Survivors =
  | 'all'
  | 'none'
  | `only-metadata:${number}`
  | `only-sector:${number}`
  | `all-but-metadata:${number}`
  | `all-but-sector:${number}`
  | `random:${number}`
  | `stale:${number}`;

/** An unsynced item, for a custom chooser. */
export interface UnsyncedThing {
  /** Its kind: an operation on a name, a change of a file's size, or 512 bytes of a file. */
  readonly kind: Unsynced['kind'];
  /** A current path of its file or directory; `undefined` when it has none. */
  readonly path: string | undefined;
  /** Where a sector begins, or the size, in bytes; 0 for a name. */
  readonly offset: number;
}

/** Decides for one item after another whether it survives. */
export type SurvivorChooser = (thing: UnsyncedThing) => boolean;

const LIKELIHOODS = [0.5, 0.2, 0.8, 0.5] as const;
const SPECIFIC = /^(only-metadata|only-sector|all-but-metadata|all-but-sector|random|stale):(\d+)$/;

/** Parses such a text. @throws `TypeError`, `RangeError` for an unknown one */
export function survivorsNamed(words: unknown): Ask {
  if (typeof words !== 'string') throw invalidType('survivors', 'a string or a function', words);
  if (words === 'all') return () => true;
  if (words === 'none') return () => false;
  const [, kind, number] = SPECIFIC.exec(words) ?? [];
  if (kind === undefined) throw outOfRange('survivors', "'all', 'none', 'random:1' or another set's words", words);
  return kind === 'random' || kind === 'stale' ? randomly(Number(number)) : singly(kind, Number(number));
}

/** The seed for the content of sectors that no write has reached; `undefined` for zeros. */
export function staleSeedOf(survivors: Survivors): number | undefined {
  return survivors.startsWith('stale:') ? Number(survivors.slice('stale:'.length)) : undefined;
}

function singly(kind: string, chosen: number): Ask {
  const ofSectors = kind.endsWith('sector');
  const only = kind.startsWith('only');
  let metadata = -1;
  let sectors = -1;
  return (thing) => {
    const isSector = thing.kind === 'sector';
    const number = isSector ? ++sectors : ++metadata;
    const isChosen = isSector === ofSectors && number === chosen;
    if (!only) return !isChosen;
    return isChosen || (ofSectors && !isSector);
  };
}

/** Some of these sets keep all metadata: sectors of files without a name have no effect. */
function randomly(seed: number): Ask {
  const random = new Random(seed);
  const likelihood = LIKELIHOODS[random.below(LIKELIHOODS.length)] as number;
  const allMetadata = random.chance(0.4);
  return (thing) => (allMetadata && thing.kind !== 'sector') || random.chance(likelihood);
}

/** Counts the items of both kinds. */
export interface UnsyncedCount {
  metadata: number;
  sectors: number;
}

/** Lets all items survive or none, and counts them. */
export function counting(count: UnsyncedCount): Ask {
  return ({ kind }) => {
    if (kind === 'sector') count.sectors += 1;
    else count.metadata += 1;
    return true;
  };
}

/**
 * Sets of survivors to try: none, all, then each item alone and all but each, as many as fit beside a third of random
 * sets.
 *
 * @param seed - decides which ones, where there are too many
 */
export function survivorSets({ metadata, sectors }: UnsyncedCount, most: number, seed: number): Survivors[] {
  if (metadata + sectors === 0) return ['none'];
  const random = new Random(seed);
  const ofMetadata = random.shuffle(numbered(metadata, 'metadata'));
  const ofSectors = random.shuffle(numbered(sectors, 'sector'));
  // Alternating: there are many sectors, but the few names and sizes matter as much.
  const single = random.chance(0.5) ? inTurns(ofMetadata, ofSectors) : inTurns(ofSectors, ofMetadata);
  const room = Math.max(0, most - 2);
  const sets: Survivors[] = ['none', 'all', ...single.slice(0, Math.ceil((room * 2) / 3))];
  while (sets.length < most) {
    sets.push(`${metadata > 0 && random.chance(0.4) ? 'stale' : 'random'}:${random.below(1_000_000)}`);
  }
  return sets.slice(0, most);
}

/** Each of the items alone, and all but each. */
const numbered = (count: number, kind: 'metadata' | 'sector'): Survivors[] =>
  Array.from({ length: count }, (_, number): Survivors[] => [
    `only-${kind}:${number}`,
    `all-but-${kind}:${number}`,
  ]).flat();
