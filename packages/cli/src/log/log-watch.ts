import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseSegmentFileName, type SegmentName, WalError } from '@walstack/codec';
import { LogTail } from '@walstack/mmap-reader';
import { readFollowers } from '@walstack/segmented/internal';
import { runAsync, type StorageIo } from '@walstack/storage-io';
import type { LogTarget } from './target.js';

/** How far a follower with a name is, by what it has stored. */
export interface WatchedFollower {
  readonly name: string;
  /** The first LSN that it still needs; `null` when that is not known. */
  readonly lsn: number | null;
  /** How many records it still has to read or acknowledge; `null` when that is not known. */
  readonly lag: number | null;
  /** Whether a process has it open; `null` when that is not known. */
  readonly alive: boolean | null;
}

/** A log at one moment, as its directory shows it. */
export interface LogSample {
  readonly directory: string;
  readonly core?: number;
  readonly time: string;
  /** Everything up to this LSN is proven durable by what is written behind it. */
  readonly durableLsn: number;
  readonly lastLsn: number;
  /** Since the sample before; `null` in the first one, and when the end of the log was cut off since. */
  readonly recordsPerSecond: number | null;
  /** Bytes of the segment files, with what is preallocated. */
  readonly bytes: number;
  readonly segments: number;
  readonly followers: readonly WatchedFollower[];
}

/** Watches a log from outside, without a lock: it reads the newest segment, and then only what is new. */
export class LogWatch {
  readonly #io: StorageIo;
  readonly #target: LogTarget;
  readonly #signal: AbortSignal;
  #tail: LogTail | undefined;
  #before: { readonly lastLsn: number; readonly at: number } | undefined;

  constructor(io: StorageIo, target: LogTarget, signal: AbortSignal) {
    this.#io = io;
    this.#target = target;
    this.#signal = signal;
  }

  /** @throws `WAL_NOT_FOUND` when there is no log, and what reading it throws */
  async sample(): Promise<LogSample> {
    const { directory, coreId } = this.#target;
    const { durableLsn, lastLsn } = await this.#read();
    const at = performance.now();
    const segments = segmentsIn(directory);
    const sample = {
      directory,
      ...(coreId === undefined ? {} : { core: coreId }),
      time: new Date().toISOString(),
      durableLsn,
      lastLsn,
      recordsPerSecond: this.#rate(lastLsn, at),
      bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
      segments: segments.length,
      followers: await this.#followers(lastLsn),
    };
    this.#before = { lastLsn, at };
    return sample;
  }

  close(): void {
    this.#tail?.close();
  }

  #rate(lastLsn: number, at: number): number | null {
    if (this.#before === undefined || lastLsn < this.#before.lastLsn) return null;
    return Math.round(((lastLsn - this.#before.lastLsn) * 1000) / Math.max(1, at - this.#before.at));
  }

  /** Reads up to the present end. */
  async #read(): Promise<{ durableLsn: number; lastLsn: number }> {
    for (;;) {
      this.#tail ??= this.#newTail();
      try {
        while (await this.#tail.advance()) while (this.#tail.next() !== undefined);
        const lastLsn = (this.#tail.nextLsn ?? 1) - 1;
        // Only what was read is proven by the tail: a segment is begun when everything before it is durable.
        return { durableLsn: Math.min(lastLsn, Math.max(this.#tail.provenLsn, 0)), lastLsn };
      } catch (error) {
        this.#tail.close();
        this.#tail = undefined;
        // The end was cut off behind what was read: the log goes on before it.
        if (!WalError.is(error, 'WAL_TRUNCATED')) throw error;
        this.#before = undefined;
      }
    }
  }

  #newTail(): LogTail {
    const { directory } = this.#target;
    const newest = segmentsIn(directory).at(-1);
    if (newest === undefined) throw new WalError('WAL_NOT_FOUND', `${directory} has no log`, { path: directory });
    // Records are counted, and not decoded: no key is needed.
    return new LogTail(this.#io, directory, {
      from: newest.firstLsn,
      matches: () => false,
      onTruncated: 'skip',
      onHole: 'skip',
      copy: false,
      signal: this.#signal,
    });
  }

  async #followers(lastLsn: number): Promise<WatchedFollower[]> {
    const { followers } = await runAsync(this.#io, readFollowers(this.#io, this.#target.directory, []));
    return followers.map(({ name, stored, alive }) => {
      const positions = [stored?.older.position?.lsn, stored?.newer.position?.lsn];
      const isKnown = positions.every((lsn) => lsn !== undefined);
      const lsn = isKnown ? Math.min(...(positions as number[])) : null;
      return { name, lsn, lag: lsn === null ? null : Math.max(0, lastLsn + 1 - lsn), alive: alive ?? null };
    });
  }
}

/** The segment files of a directory, by their names, from the oldest to the newest. */
function segmentsIn(directory: string): (SegmentName & { readonly bytes: number })[] {
  const found = readdirSync(directory).flatMap((name) => {
    const parsed = parseSegmentFileName(name);
    const stats = parsed && statSync(join(directory, name), { throwIfNoEntry: false });
    return parsed === undefined || stats === undefined ? [] : [{ ...parsed, bytes: stats.size }];
  });
  return found.sort((a, b) => a.number - b.number);
}
