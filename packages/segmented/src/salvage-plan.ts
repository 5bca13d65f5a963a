import { join } from 'node:path';
import {
  type Checkpoint,
  FileName,
  isMark,
  type Lsn,
  MARK_FRAME_BYTES,
  RecordHeader,
  readRecordHeader,
  type SegmentHeader,
  type SegmentName,
  WalError,
} from '@walstack/codec';
import {
  type BrokenLink,
  type ChainWalk,
  type Link,
  type LogFiles,
  lookBehind,
  readCheckpoint,
  readHeader,
  type Segment,
  walkChain,
  withFile,
} from '@walstack/mmap-reader/segments';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { type Prefix, readPrefix, readSealed } from './judgement.js';
import type { LsnRange } from './recovery-report.js';
import { BEGINNING, isEmpty, type Succession, succession } from './segment.js';

/** What salvage keeps, and what it gives up. */
export interface SalvagePlan {
  /** What is kept of the chain, from the oldest to the newest segment, the last of them cut. */
  readonly kept: readonly Segment[];
  /** The LSN that the log goes on with. */
  readonly nextLsn: Lsn;
  /** What the segment that it goes on in takes over. */
  readonly from: Succession;
  /** Of a header that can be read; `undefined` when there is none. */
  readonly header: SegmentHeader | undefined;
  /** `undefined` where there is none, or none that can be read. */
  readonly checkpoint: Checkpoint | undefined;
  readonly checkpointDamaged: boolean;
  /** Names of the files that are not part of the log any more. */
  readonly hidden: readonly string[];
  readonly lost: readonly LsnRange[];
}

/** What is kept, before it is known what is lost by that. */
type Choice = Pick<SalvagePlan, 'kept' | 'nextLsn' | 'from'>;

/**
 * Decides, reading only, what of a damaged log can be kept: a prefix of it, up to the first record that is lost.
 *
 * @param damage - why the log cannot be opened
 * @param salvageLsn - the LSN to go on with, where that cannot be told from what is there
 * @throws `damage`, with what to do, where it needs a `salvageLsn`
 */
export function* planSalvage(
  io: StorageIo,
  directory: string,
  files: LogFiles,
  damage: WalError,
  salvageLsn: Lsn | undefined,
): IoRoutine<SalvagePlan> {
  const checkpoint = files.checkpoint ? yield* readableCheckpoint(io, directory) : undefined;
  const checkpointDamaged = files.checkpoint && checkpoint === undefined;
  const search = new SalvageSearch(io, directory, files, damage, checkpoint, checkpointDamaged);
  const choice = yield* salvageLsn === undefined ? search.choose() : search.chooseUpTo(salvageLsn);
  const { kept, nextLsn } = choice;
  const keptPaths = new Set(kept.map(({ path }) => path));
  const firstKept = Math.min(checkpoint?.firstSegment ?? 1, ...kept.map(({ header }) => header.number));
  const hidden = files.segments.filter(
    ({ name, number }) => number >= firstKept && !keptPaths.has(join(directory, name)),
  );
  const lost = yield* search.lostBeside(kept, nextLsn, hidden);
  const header = kept.at(-1)?.header ?? (yield* search.anyHeader());
  return { ...choice, header, checkpoint, checkpointDamaged, hidden: hidden.map(({ name }) => name), lost };
}

function* readableCheckpoint(io: StorageIo, directory: string): IoRoutine<Checkpoint | undefined> {
  try {
    return yield* readCheckpoint(io, directory);
  } catch (error) {
    if (WalError.is(error, 'WAL_CORRUPT')) return undefined;
    throw error;
  }
}

class SalvageSearch {
  readonly #io: StorageIo;
  readonly #directory: string;
  /** In the order of their numbers. */
  readonly #names: readonly SegmentName[];
  readonly #byNumber: Map<number, SegmentName>;
  readonly #damage: WalError;
  readonly #checkpoint: Checkpoint | undefined;
  /** The number of the first segment of the log; `undefined` where nothing says. */
  readonly #firstKept: number | undefined;

  constructor(
    io: StorageIo,
    directory: string,
    { segments }: LogFiles,
    damage: WalError,
    checkpoint: Checkpoint | undefined,
    checkpointDamaged: boolean,
  ) {
    this.#io = io;
    this.#directory = directory;
    this.#names = segments;
    this.#byNumber = new Map(segments.map((name) => [name.number, name]));
    this.#damage = damage;
    this.#checkpoint = checkpoint;
    this.#firstKept = checkpointDamaged ? undefined : (checkpoint?.firstSegment ?? 1);
  }

  /** Keeps what stands before the first record that is lost. */
  *choose(): IoRoutine<Choice> {
    this.#refuseAmbiguous();
    let top = this.#names.at(-1) as SegmentName;
    // What stands behind the highest break is lost; below it, records from here on.
    let limit = Number.POSITIVE_INFINITY;
    let above = Number.POSITIVE_INFINITY;
    for (;;) {
      const walk = yield* this.#walk(top);
      const { broken } = walk;
      if (broken === undefined || this.#isBeginning(broken)) return yield* this.#readUpTo(walk.links, limit, above);
      // Only the name of a damaged file says where its records began.
      if (broken.name === undefined || broken.error.reason !== 'header') throw this.#asking();
      limit = broken.name.firstLsn;
      above = broken.number;
      const below = this.#names.findLast(({ number, firstLsn }) => number < above && firstLsn < limit);
      if (below === undefined) {
        if (broken.number !== this.#firstKept) throw this.#asking();
        return { kept: [], nextLsn: limit, from: BEGINNING };
      }
      top = below;
    }
  }

  /** Keeps what can be read, without a gap, right before an LSN. */
  *chooseUpTo(nextLsn: Lsn): IoRoutine<Choice> {
    const before = this.#names.filter(({ firstLsn }) => firstLsn < nextLsn);
    for (const name of [...before].reverse()) {
      const { links } = yield* this.#walk(name);
      const top = links.at(-1);
      if (top === undefined) continue;
      const prefix = yield* readPrefix(this.#io, top, nextLsn);
      if (!prefix.reachesLimit) continue;
      const kept = [...(yield* this.#soundBelow(links)), prefix.segment];
      return { kept, nextLsn, from: succession(prefix.segment) };
    }
    if (before.length > 0) throw this.#asking();
    return { kept: [], nextLsn, from: BEGINNING };
  }

  /** What is lost: behind what is kept as far as there are traces, and before it. */
  *lostBeside(kept: readonly Segment[], nextLsn: Lsn, hidden: readonly SegmentName[]): IoRoutine<readonly LsnRange[]> {
    const lost: LsnRange[] = [];
    const [first] = kept;
    const begun = Math.min(...this.#names.map(({ firstLsn }) => firstLsn));
    if (first !== undefined && begun < first.header.firstLsn) {
      lost.push({ fromLsn: begun, toLsn: first.header.firstLsn - 1 });
    }
    let seen = Math.max(this.#checkpoint?.checkpointLsn ?? 0, this.#damage.lsn ?? 0);
    for (const name of hidden) seen = Math.max(seen, yield* this.#lastSeen(name));
    const cut = kept.at(-1);
    if (cut !== undefined) seen = Math.max(seen, yield* this.#lastSeenBehind(cut));
    if (seen >= nextLsn) lost.push({ fromLsn: nextLsn, toLsn: seen });
    return lost;
  }

  /** The links below the newest one that can be read without a gap. */
  *#soundBelow(links: readonly Link[]): IoRoutine<readonly Segment[]> {
    const sound: Segment[] = [];
    for (let index = links.length - 2; index >= 0; index--) {
      const successor = links[index + 1] as Link;
      try {
        sound.unshift(yield* readSealed(this.#io, links[index] as Link, successor.header.firstLsn, successor.path));
      } catch (error) {
        if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
        break;
      }
    }
    return sound;
  }

  /** Reads a chain from its beginning to the first record that is lost. */
  *#readUpTo(links: readonly Link[], limit: Lsn, above: number): IoRoutine<Choice> {
    const kept: Segment[] = [];
    let from = BEGINNING;
    for (const [index, link] of links.entries()) {
      const successor = links[index + 1];
      const prefix = yield* readPrefix(this.#io, link, successor?.header.firstLsn ?? limit);
      if (successor === undefined) this.#checkLast(prefix, link, limit, above);
      from = succession(prefix.segment);
      if (!isEmpty(prefix.segment)) kept.push(prefix.segment);
      if (!prefix.reachesLimit) return { kept, nextLsn: prefix.segment.nextLsn, from: behind(kept, from) };
    }
    return { kept, nextLsn: limit, from: behind(kept, from) };
  }

  /** Below a break only a segment goes on being the log that surely is the one before it. */
  #checkLast({ reachesLimit, goesOn }: Prefix, { header }: Link, limit: Lsn, above: number): void {
    if (limit === Number.POSITIVE_INFINITY) return;
    if (!reachesLimit || (goesOn && header.number !== above - 1)) throw this.#asking();
  }

  #walk(name: SegmentName): IoRoutine<ChainWalk> {
    return walkChain(this.#io, this.#directory, this.#byNumber, name, this.#firstKept ?? 1, this.#checkpoint);
  }

  /** Whether it is only the beginning of the log that nothing tells any more: its checkpoint is damaged. */
  #isBeginning({ name, number }: BrokenLink): boolean {
    return this.#firstKept === undefined && name === undefined && this.#names.every((each) => each.number > number);
  }

  /** The highest LSN of which a file shows a trace. */
  *#lastSeen(name: SegmentName): IoRoutine<Lsn> {
    try {
      const path = join(this.#directory, name.name);
      const header = yield* readHeader(this.#io, path);
      return (yield* readPrefix(this.#io, { path, header }, Number.POSITIVE_INFINITY)).segment.nextLsn - 1;
    } catch (error) {
      if (!WalError.is(error)) throw error;
      return name.firstLsn - 1;
    }
  }

  /** The LSN of a record that stands behind the kept part of a segment; 0 when none is found. */
  *#lastSeenBehind(segment: Segment): IoRoutine<Lsn> {
    const io = this.#io;
    return yield* withFile(io, segment.path, function* (file) {
      const { evidenceOffset } = yield* lookBehind(io, file, segment, io.size(file));
      if (evidenceOffset === undefined) return 0;
      const bytes = new Uint8Array(MARK_FRAME_BYTES);
      yield* ioSteps.read(io, file, bytes, evidenceOffset);
      const record = new RecordHeader();
      readRecordHeader(new DataView(bytes.buffer), 0, record);
      return isMark(record) ? record.lsn - 1 : record.lsn;
    });
  }

  /** A header that can be read, the newest first. */
  *anyHeader(): IoRoutine<SegmentHeader | undefined> {
    for (const { name } of [...this.#names].reverse()) {
      try {
        return yield* readHeader(this.#io, join(this.#directory, name));
      } catch (error) {
        if (!WalError.is(error)) throw error;
      }
    }
    return undefined;
  }

  /** Two files of one number, or fewer segments than the checkpoint has: nothing tells what the log was. */
  #refuseAmbiguous(): void {
    const newest = (this.#names.at(-1) as SegmentName).number;
    if (this.#byNumber.size < this.#names.length || (this.#firstKept ?? 1) > newest) throw this.#asking();
  }

  #asking(): WalError {
    const { path, offset, lsn, reason } = this.#damage;
    return new WalError(
      'WAL_CORRUPT',
      `${this.#damage.message}; salvage cannot tell where the log went on: give salvageLsn, the LSN that the next record ` +
        `is to get, and the records before it are kept as far as they can be read from the segments beside ${FileName.lock}`,
      {
        ...(path === undefined ? {} : { path }),
        ...(offset === undefined ? {} : { offset }),
        ...(lsn === undefined ? {} : { lsn }),
        ...(reason === undefined ? {} : { reason }),
      },
      { cause: this.#damage },
    );
  }
}

/** What the new segment takes over: with nothing kept, the log begins in it, whatever an empty segment had continued. */
function behind(kept: readonly Segment[], from: Succession): Succession {
  return kept.length === 0 ? { ...from, predecessor: undefined } : from;
}
