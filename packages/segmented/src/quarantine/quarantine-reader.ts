import { basename, join } from 'node:path';
import { FileName, type Lsn, PayloadDecoder, type SegmentHeader, WalError } from '@walstack/codec';
import type { DecodingSettings, LongCallOptions, WalProgress, WalRecord } from '@walstack/mmap-reader/internal';
import {
  CallWatch,
  loadKeys,
  openStreamed,
  type PieceReader,
  READING_ABORTED,
  ReadProgress,
  SegmentWalk,
  type WalkPolicy,
} from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { kindOf, watched } from '@walstack/storage-io/internal';
import { readAround } from '../salvage/holes/damaged-segment.js';
import { type QuarantinedFile, readQuarantinedFiles, segmentNameOf } from './quarantined-files.js';

/** A part of a file in quarantine that cannot be read. */
export interface UnreadablePart {
  readonly path: string;
  /** Where it begins in the file; 0 when the header of the segment cannot be read, and so nothing of the file. */
  readonly offset: number;
  /** The first LSN that cannot be read there, and the last one: `undefined` when nothing shows it. */
  readonly firstLsn: Lsn | undefined;
  readonly lastLsn: Lsn | undefined;
}

/** A record in a quarantine. */
export interface QuarantinePosition {
  /** The name of the file that it is in, or its path in the quarantine, as `WAL_ABORTED` has it. */
  readonly file: string;
  readonly lsn: Lsn;
}

/** What is read of a quarantine, and how. */
export interface QuarantinePlan {
  readonly directory: string;
  readonly from: Lsn;
  readonly to: Lsn;
  /** Nothing up to this record is read. */
  readonly after: QuarantinePosition | undefined;
  readonly types: ReadonlySet<number> | undefined;
  readonly copy: boolean;
  readonly onUnreadable: ((part: UnreadablePart) => void) | undefined;
  readonly decoding: DecodingSettings;
  readonly call: LongCallOptions;
  readonly blocking: boolean;
}

/** Records of a segment that follow each other. */
interface Run {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly from: number;
  readonly firstLsn: Lsn;
  /** The LSN from which on it is read, and the last one. */
  readonly readFrom: Lsn;
  readonly lastLsn: Lsn;
}

/** Reads the segments of a quarantine, each by itself, around all damage. */
export class QuarantineReader implements PieceReader<WalRecord> {
  readonly io: StorageIo;
  readonly walk: SegmentWalk;
  readonly watch: CallWatch<WalProgress> | undefined;
  readonly #plan: QuarantinePlan;
  readonly #progress = new ReadProgress('read');
  readonly #onClose: () => void;
  /** The files that were not read yet; `undefined` before the directory was listed. */
  #files: QuarantinedFile[] | undefined;
  #runs: Run[] = [];
  #records = 0;

  /** @param onClose - called when the reader is closed */
  constructor(io: StorageIo, plan: QuarantinePlan, onClose: () => void) {
    const { from, types, copy } = plan;
    const matches = types === undefined ? undefined : ({ type }: { readonly type: number }) => types.has(type);
    this.io = io;
    this.#plan = plan;
    this.walk = new SegmentWalk(from, copy, matches, 'skip');
    this.watch = CallWatch.for(plan.call, READING_ABORTED, () => ({ ...this.#progress.value, records: this.#records }));
    this.#onClose = onClose;
  }

  next(): WalRecord | undefined {
    return this.walk.next();
  }

  advance(): IoRoutine<boolean> {
    const advancing = this.walk.advance(this.#policy);
    return this.watch === undefined ? advancing : watched(advancing, this.watch);
  }

  close(): void {
    this.walk.leave();
    this.#onClose();
  }

  readonly #policy: WalkPolicy = {
    beforeStep: () => {},
    enterNext: () => this.#enterNext(),
    onUnreadable: () => this.#leave(),
    onEnd: () => this.#leave(),
  };

  // biome-ignore lint/correctness/useYield: a routine without a step.
  *#leave(): IoRoutine<boolean> {
    this.walk.leave();
    return true;
  }

  *#enterNext(): IoRoutine<boolean> {
    this.#files ??= [...(yield* readQuarantinedFiles(this.io, this.#plan.directory, this.#list()))];
    let run = this.#runs.shift();
    while (run === undefined) {
      const file = this.#files.shift();
      if (file === undefined) return false;
      if (basename(file.path) < (this.#plan.after?.file ?? '')) continue;
      this.#runs = [...(yield* this.#runsOf(file))];
      this.#progress.pass();
      run = this.#runs.shift();
    }
    const { path, header, from, firstLsn, readFrom, lastLsn } = run;
    const { decoding, blocking } = this.#plan;
    yield* loadKeys(decoding.keyRing, [header.keyId], blocking);
    const decoder = new PayloadDecoder(header, path, decoding);
    this.walk.enter(yield* openStreamed(this.io, { path, header }, { from, nextLsn: firstLsn }), decoder);
    this.walk.nextLsn = Math.max(readFrom, this.#fromIn(path));
    this.walk.until = Math.min(lastLsn, this.#plan.to);
    this.#records += lastLsn - readFrom + 1;
    return true;
  }

  /** The names of the segments in the order of their numbers. @throws `WAL_NOT_FOUND` when there are none, and no report of a salvage */
  #list(): string[] {
    const { io } = this;
    const { directory, after } = this.#plan;
    // Of two segments with one name one has a number appended.
    const names = io.list(directory).filter((name) => segmentNameOf(name) !== undefined);
    // A salvage that has cut the newest segment takes nothing out of the log: that stays in its place.
    const isOfSalvage = names.length > 0 || kindOf(io, join(directory, FileName.salvage)) === 'file';
    if (!isOfSalvage) {
      const what = `no segment is in ${directory}: give the directory of one salvage, such as log/quarantine/<time>-<id>`;
      throw new WalError('WAL_NOT_FOUND', what, { path: directory });
    }
    if (after !== undefined && !names.includes(after.file)) {
      throw new WalError('WAL_NOT_FOUND', `no segment ${after.file} is in ${directory}`, {
        path: join(directory, after.file),
      });
    }
    names.sort();
    const sizes = names.map((name) => io.stat(join(directory, name)).size);
    this.#progress.begin('read', sizes, 1);
    return names;
  }

  /** What of a segment can be read. */
  *#runsOf({ path, header, limit, cutOff }: QuarantinedFile): IoRoutine<readonly Run[]> {
    if (header === undefined) this.#report(path, 0, undefined, undefined);
    // The log may have been cut where the segment begins.
    if (header === undefined || (limit !== undefined && limit <= header.firstLsn)) return [];
    const all = { checkpoint: undefined, seen: 0, readsAll: true };
    const { segment, gaps } = yield* readAround(this.io, { path, header }, limit, all, new ReadProgress('read'));
    const runs: Run[] = [];
    let from = header.blockBytes;
    let { firstLsn } = header;
    const addPart = (readFrom: Lsn, nextLsn: Lsn): void => {
      const isWanted = nextLsn > Math.max(readFrom, this.#fromIn(path)) && readFrom <= this.#plan.to;
      if (isWanted) runs.push({ path, header, from, firstLsn, readFrom, lastLsn: nextLsn - 1 });
    };
    const add = (nextLsn: Lsn): void => {
      let readFrom = firstLsn;
      for (const cut of cutOff) {
        addPart(readFrom, Math.min(nextLsn, cut.firstLsn));
        readFrom = Math.max(readFrom, cut.nextLsn);
      }
      addPart(readFrom, nextLsn);
    };
    for (const gap of gaps) {
      add(gap.firstLsn);
      const isCutOff = cutOff.some((cut) => cut.firstLsn <= gap.firstLsn && gap.nextLsn <= cut.nextLsn);
      if (gap.nextLsn > gap.firstLsn && !isCutOff) this.#report(path, gap.from, gap.firstLsn, gap.nextLsn - 1);
      from = gap.to ?? segment.end;
      firstLsn = gap.nextLsn;
    }
    add(segment.nextLsn);
    return runs;
  }

  /** The first LSN that is read of a file. */
  #fromIn(path: string): Lsn {
    const { from, after } = this.#plan;
    return after?.file === basename(path) ? Math.max(from, after.lsn + 1) : from;
  }

  #report(path: string, offset: number, firstLsn: Lsn | undefined, lastLsn: Lsn | undefined): void {
    this.#plan.onUnreadable?.(Object.freeze({ path, offset, firstLsn, lastLsn }));
  }
}
