import { join } from 'node:path';
import {
  encodeSegmentHeader,
  type Lsn,
  type Predecessor,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentFileName,
  type WalError,
} from '@walstack/codec';
import { type Link, type LogFiles, type ReadProgress, type Segment, withFile } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import type { LsnRange } from '../../recovery/recovery-report.js';
import { BEGINNING, isEmpty, linkBehind, nameOf } from '../../segments/segment.js';
import { SalvageFiles } from '../salvage-files.js';
import { asking, askingFor, behind, replacedBy, type SalvagePlan, seenBy } from '../salvage-plan.js';
import type { Survey } from '../salvage-survey.js';
import { lastSeenIn } from '../salvage-traces.js';
import { Answers } from './answers.js';
import { type EndOfLog, type ReadAround, readAround } from './damaged-segment.js';
import { endOf, type Gap, sizeBehind } from './gap.js';
import { firstLsnOf, isLost, type Lost, type Part, PartsSearch } from './parts-search.js';
import type { Repair } from './repair.js';

/**
 * Decides, by reading only, how a log goes on around its damage: every segment is kept that has something readable, every LSN
 * stays, and what is lost becomes holes.
 *
 * @throws `WAL_CORRUPT` with the `reason` of `damage` and an instruction when a `salvageLsn` is needed
 */
export function* planAround(
  io: StorageIo,
  directory: string,
  files: LogFiles,
  survey: Survey,
  damage: WalError,
  salvageLsn: Lsn | readonly Lsn[] | undefined,
  progress: ReadProgress,
): IoRoutine<SalvagePlan> {
  const answers = new Answers(salvageLsn);
  const parts = new PartsSearch(new SalvageFiles(survey), answers).find();
  if (parts === undefined) throw asking(directory, damage);
  // What is asked for is not guessed: a plan is made only of parts that are known.
  const plan = answers.areComplete
    ? yield* new AroundPlan(io, directory, survey, progress, answers).make(parts, files)
    : undefined;
  if (plan === undefined || !answers.areComplete) throw askingFor(answers.wanted, damage);
  const keptPaths = new Set([...plan.paths, ...plan.repairs.map(({ name }) => join(directory, name))]);
  return { ...plan, ...replacedBy(directory, files, survey, plan, keptPaths) };
}

/** What is decided before files and numbers are. */
type Around = Pick<SalvagePlan, 'kept' | 'readable' | 'nextLsn' | 'from' | 'lost' | 'repairs'> & {
  /** Paths of the segments that stay, or are copied. */
  readonly paths: readonly string[];
};

/** A repair without the name of the damaged file in quarantine, which is chosen later. */
type Change = Omit<Repair, 'size' | 'isLast'> & { readonly link: Link };

class AroundPlan {
  readonly #io: StorageIo;
  readonly #directory: string;
  readonly #survey: Survey;
  readonly #progress: ReadProgress;
  readonly #answers: Answers;
  readonly #kept: Segment[] = [];
  readonly #changes = new Map<Segment, Change>();
  readonly #paths: string[] = [];

  constructor(io: StorageIo, directory: string, survey: Survey, progress: ReadProgress, answers: Answers) {
    this.#io = io;
    this.#directory = directory;
    this.#survey = survey;
    this.#progress = progress;
    this.#answers = answers;
  }

  /** Where the files do not show that a part follows another, the answers have to: see there whether they do. */
  *make(found: readonly Part[], files: LogFiles): IoRoutine<Around> {
    const parts = [...found];
    const { checkpoint } = this.#survey;
    const newest: EndOfLog = { checkpoint, seen: seenBy(checkpoint) };
    let from = BEGINNING;
    let nextLsn = 0;
    for (const [index, part] of parts.entries()) {
      const next = parts[index + 1];
      if (isLost(part)) {
        if (part.own === undefined) nextLsn = yield* this.#loseEnd(part, newest.seen);
        else this.#replace(part, part.own, next as Link, files);
        const last = this.#kept.at(-1);
        if (last !== undefined) from = linkBehind(last);
        continue;
      }
      let read = yield* readAround(this.#io, part, next && firstLsnOf(next), newest, this.#progress);
      if (next !== undefined && isLost(next) && !isSurelyBefore(read, part, next)) {
        const firstLsn = this.#answers.beginningOfLost(part.header.firstLsn + 1, next.firstLsn);
        if (firstLsn < next.firstLsn) {
          parts[index + 1] = { ...next, firstLsn };
          read = yield* readAround(this.#io, part, firstLsn, newest, this.#progress);
        }
      }
      yield* this.#keep(part, read);
      from = linkBehind(read.segment);
      nextLsn = read.segment.nextLsn;
    }
    return {
      kept: this.#kept,
      readable: this.#kept.filter((_, index) => !this.#isNew(index)),
      nextLsn,
      from: behind(this.#kept, from),
      lost: this.#lost(),
      repairs: this.#repairs(),
      paths: this.#paths,
    };
  }

  *#keep(link: Link, { segment, gaps }: ReadAround): IoRoutine<void> {
    if (isEmpty(segment)) return;
    this.#kept.push(segment);
    this.#paths.push(segment.path);
    if (gaps.length > 0) yield* this.#change(segment, gaps, link);
  }

  *#change(segment: Segment, gaps: readonly Gap[], link: Link): IoRoutine<void> {
    const header = new Uint8Array(SEGMENT_HEADER_BYTES);
    yield* withFile(this.#io, link.path, (file) => ioSteps.read(this.#io, file, header, 0));
    const name = nameOf(link.header);
    const { end, nextLsn } = segment;
    this.#changes.set(segment, { name, original: name, header, isCopied: true, gaps, end, nextLsn, link });
  }

  /** A new segment in the place of one that is lost, of a hole alone. */
  #replace({ firstLsn, reason }: Lost, own: Predecessor, successor: Link, files: LogFiles): void {
    const last = this.#kept.at(-1);
    const { firstPosition, predecessor } =
      last === undefined ? { ...BEGINNING, firstPosition: successor.header.firstPosition } : linkBehind(last);
    const { blockBytes, logId, coreId, createdAtMs, keyId, encryptedFrom, firstLsn: nextLsn } = successor.header;
    // It has no record that could be in the clear, and may reach from before the encryption of the log into it.
    const encrypted = successor.header.encrypted && encryptedFrom < nextLsn;
    const header: SegmentHeader = {
      blockBytes,
      encrypted,
      salvaged: false,
      keyId: encrypted ? keyId : 0,
      encryptedFrom: encrypted ? Math.min(encryptedFrom, firstLsn) : 0,
      firstLsn,
      number: own.number,
      logId,
      segmentId: own.id,
      createdAtMs,
      coreId,
      firstPosition: Math.min(firstPosition, successor.header.firstPosition),
      predecessor,
    };
    const encoded = new Uint8Array(SEGMENT_HEADER_BYTES);
    encodeSegmentHeader(encoded, header);
    const name = segmentFileName(own.number, firstLsn);
    const link = { path: join(this.#directory, name), header };
    const gap = { from: blockBytes, to: undefined, firstLsn, nextLsn, reason };
    const end = endOf(gap, header);
    const segment = { ...link, end, nextLsn };
    const original = files.segments.some((each) => each.name === name) ? name : undefined;
    this.#kept.push(segment);
    this.#changes.set(segment, { name, original, header: encoded, isCopied: false, gaps: [gap], end, nextLsn, link });
  }

  /** The end of the log is lost: what is behind the last segment becomes a hole at its end. @returns the LSN behind it */
  *#loseEnd({ firstLsn, reason, remains }: Lost, seenBefore: Lsn): IoRoutine<Lsn> {
    let seen = seenBefore;
    for (const each of remains) seen = Math.max(seen, yield* lastSeenIn(this.#io, each));
    const nextLsn = Math.max(firstLsn, seen + 1);
    const last = this.#kept.pop();
    if (last === undefined || nextLsn === firstLsn) {
      if (last !== undefined) this.#kept.push(last);
      else this.#lostAlone = { fromLsn: firstLsn, toLsn: seen };
      return nextLsn;
    }
    const change = this.#changes.get(last);
    this.#changes.delete(last);
    const gaps = [...(change?.gaps ?? [])];
    const open = gaps.at(-1)?.to === undefined ? gaps.pop() : undefined;
    const gap =
      open === undefined ? { from: last.end, to: undefined, firstLsn, nextLsn, reason } : { ...open, nextLsn };
    const segment = { ...last, end: endOf(gap, last.header), nextLsn };
    this.#kept.push(segment);
    if (change === undefined) yield* this.#change(segment, [...gaps, gap], last);
    else {
      this.#changes.set(segment, { ...change, gaps: [...gaps, gap], end: segment.end, nextLsn });
    }
    return nextLsn;
  }

  /** What is lost where nothing is kept. */
  #lostAlone: LsnRange | undefined;

  #lost(): readonly LsnRange[] {
    const lost: LsnRange[] = [];
    const { checkpoint, checkpointUseless } = this.#survey;
    const first = this.#kept[0]?.header;
    const firstKept = checkpointUseless ? undefined : (checkpoint?.firstSegment ?? 1);
    // A segment before it is named, or was in front of one that is lost.
    const before = first === undefined ? 0 : (first.predecessor?.number ?? (this.#isNew(0) ? first.number - 1 : 0));
    const isNamed = first !== undefined && firstKept !== undefined && before >= firstKept;
    if (isNamed && first.firstLsn > 1 && !this.#answers.includes(first.firstLsn)) {
      lost.push({ fromLsn: first.firstLsn - 1, toLsn: first.firstLsn - 1 });
    }
    for (const segment of this.#kept) {
      for (const { firstLsn, nextLsn } of this.#changes.get(segment)?.gaps ?? []) {
        if (nextLsn > firstLsn) lost.push({ fromLsn: firstLsn, toLsn: nextLsn - 1 });
      }
    }
    if (this.#lostAlone !== undefined && this.#lostAlone.toLsn >= this.#lostAlone.fromLsn) lost.push(this.#lostAlone);
    return lost;
  }

  /** Whether nothing of a kept segment can be read. */
  #isNew(index: number): boolean {
    const segment = this.#kept[index];
    return segment !== undefined && this.#changes.get(segment)?.isCopied === false;
  }

  #repairs(): readonly Repair[] {
    const last = this.#kept.at(-1);
    return this.#kept.flatMap((segment) => {
      const change = this.#changes.get(segment);
      if (change === undefined) return [];
      const { link, ...repair } = change;
      const isCut = segment === last || repair.gaps.at(-1)?.to === undefined || !repair.isCopied;
      const size = isCut ? sizeBehind(repair.end, link.header) : this.#io.stat(link.path).size;
      return [{ ...repair, size, isLast: isCut }];
    });
  }
}

/** Whether a segment is certainly the predecessor of a lost one: see the plan of a salvage that keeps a prefix. */
function isSurelyBefore({ goesOn, gaps }: ReadAround, { header }: Link, { lowest }: Lost): boolean {
  const isShort = gaps.some(({ to }) => to === undefined);
  return header.number === lowest - 1 || !(goesOn || isShort);
}
