import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  decodeSegmentHeader,
  FileName,
  FRAME_HEADER_BYTES,
  parseSegmentFileName,
  scanFrames,
  segmentSeed,
} from '@walstack/codec';
import { keptBySalvage, keptWhenTold } from '../../fuzz/checks/salvage-rule.js';
import type { Entry } from '../../fuzz/logs/trees.js';
import type { Random } from '../../random.js';

/** What salvage has to make of a damaged log. */
export interface Damage {
  /** Which file, and what was done to it. */
  readonly text: string;
  /** What it keeps. */
  readonly firstLsn: number;
  readonly nextLsn: number;
  /** What it has to be given as `salvageLsn`, where it cannot find that by itself. */
  readonly salvageLsn: number | undefined;
  /** By name, files that have to be in quarantine, as they are. */
  readonly givenUp: ReadonlyMap<string, Uint8Array>;
}

const HEADER_BYTES = 128;

/** The segments of a log, the oldest first. */
interface SegmentFile {
  readonly name: string;
  readonly firstLsn: number;
}

/**
 * Damages a log that was closed, durably: a byte of a frame is another, or of a header, or a segment is lost.
 *
 * @param nextLsn - of the log
 * @returns `undefined` when there is nothing to be damaged
 */
export function damageLog(directory: string, nextLsn: number, random: Random): Damage | undefined {
  const segments = segmentsIn(directory);
  const kind = random.next();
  const at = random.integer(0, segments.length - 1);
  const segment = segments[at] as SegmentFile;
  const path = join(directory, segment.name);
  const others = segments.filter((each) => each !== segment);
  // What salvage keeps where it needs `salvageLsn`: what is before the segment, and else what is behind it.
  const front = others[0]?.firstLsn ?? segment.firstLsn;
  const asked = { firstLsn: front, nextLsn: at === 0 ? nextLsn : segment.firstLsn };
  // Else nothing would be left to go on from.
  const isKept = at > 0 || (others.length > 0 && front < nextLsn);
  // The newest one that is lost goes unseen, as is said.
  if (kind < 0.25 && at < segments.length - 1 && isKept) {
    rmSync(path);
    sync(directory);
    return damageOf(directory, `${segment.name} was removed`, nextLsn, asked);
  }
  const stretch = kind < 0.4 ? { start: 0, end: HEADER_BYTES } : drawFrame(path, random);
  if (stretch === undefined) return undefined;
  const offset = random.integer(stretch.start, stretch.end - 1);
  const bit = 1 << random.integer(0, 7);
  flip(path, offset, bit);
  const text = `a bit of byte ${offset} of ${segment.name} was changed`;
  const damage = damageOf(directory, text, nextLsn, asked, stretch.start === 0 ? segment.name : undefined);
  if (damage.salvageLsn === undefined || isKept) return damage;
  flip(path, offset, bit);
  return undefined;
}

/**
 * @param nextLsn - of the log
 * @param asked - what is kept where salvage has to be given the LSN to go on with
 * @param headless - the name of the segment whose header is damaged
 */
function damageOf(
  directory: string,
  text: string,
  nextLsn: number,
  asked: Pick<Damage, 'firstLsn' | 'nextLsn'>,
  headless?: string,
): Damage {
  const tree = treeIn(directory);
  const rule = keptBySalvage(tree);
  // A cut inside a batch has left its first part, which salvage does not keep where it has to be given the LSN behind that.
  const told = keptWhenTold(tree, asked.nextLsn);
  const kept = typeof rule === 'object' ? rule : typeof told === 'object' ? told : asked;
  // An empty segment at the end is given up only with something before it.
  const isGivenUp = ({ name, firstLsn }: SegmentFile): boolean =>
    name === headless || firstLsn < kept.firstLsn || (firstLsn >= kept.nextLsn && kept.nextLsn < nextLsn);
  const givenUp = segmentsIn(directory).filter(isGivenUp);
  return {
    text,
    firstLsn: kept.firstLsn,
    nextLsn: kept.nextLsn,
    salvageLsn: typeof rule === 'object' ? undefined : asked.nextLsn,
    givenUp: new Map(givenUp.map(({ name }) => [name, tree.get(name) as Uint8Array])),
  };
}

/** How many salvages have left a report in quarantine. */
export const reportsInQuarantine = (directory: string): number =>
  placesOfQuarantine(directory).filter((place) => readdirSync(place).includes(FileName.salvage)).length;

/** Names of files that have to be in quarantine, and are not there as they were. */
export function missingInQuarantine(directory: string, { givenUp }: Damage): string[] {
  const places = placesOfQuarantine(directory);
  return [...givenUp].flatMap(([name, bytes]) => {
    const found = places.filter((place) => readdirSync(place).includes(name));
    return found.some((place) => Buffer.compare(readFileSync(join(place, name)), bytes) === 0) ? [] : [name];
  });
}

function placesOfQuarantine(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith('quarantine'))
    .flatMap((name) => readdirSync(join(directory, name)).map((place) => join(directory, name, place)));
}

function segmentsIn(directory: string): SegmentFile[] {
  const names = readdirSync(directory).map(parseSegmentFileName);
  return names.filter((name) => name !== undefined).sort((a, b) => a.number - b.number);
}

function treeIn(directory: string): Map<string, Entry> {
  const names = readdirSync(directory).filter((name) => name !== FileName.lock);
  return new Map(
    names.map((name) => {
      const path = join(directory, name);
      return [name, statSync(path).isDirectory() ? 'directory' : new Uint8Array(readFileSync(path))];
    }),
  );
}

/** Some frame of a segment that has others behind it. */
function drawFrame(path: string, random: Random): { readonly start: number; readonly end: number } | undefined {
  const bytes = readFileSync(path);
  const { blockBytes, segmentId } = decodeSegmentHeader(bytes, path);
  const offsets = new Uint32Array(bytes.length / FRAME_HEADER_BYTES + 2);
  const seed = segmentSeed(segmentId);
  const frames = scanFrames(bytes, blockBytes, bytes.length, blockBytes, blockBytes, seed, offsets);
  // The last one may be what proves all before it.
  if (frames < 2) return undefined;
  const start = offsets[random.integer(0, frames - 2)] as number;
  return { start, end: start + FRAME_HEADER_BYTES + bytes.readUInt32LE(start) };
}

function flip(path: string, offset: number, bit: number): void {
  const fd = openSync(path, 'r+');
  try {
    const byte = new Uint8Array(1);
    readSync(fd, byte, 0, 1, offset);
    byte[0] = (byte[0] as number) ^ bit;
    writeSync(fd, byte, 0, 1, offset);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function sync(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
