import { WalError } from '@walstack/codec';
import type { Segment } from '@walstack/mmap-reader/internal';
import type { IoRoutine } from '@walstack/storage-io';
import { announce, writerChannels } from '../diagnostics.js';
import type { Environment } from '../environment.js';
import { rollsBack } from '../log-errors.js';
import type { Settings } from '../options.js';
import type { ActiveSegment } from '../segments/active-segment.js';
import { closingOnFailure } from '../segments/new-segment.js';
import { isEmpty, metaOf, positionAt } from '../segments/segment.js';
import type { SegmentFiles } from './allocation/segment-files.js';
import type { FinalFailure } from './final-failure.js';
import type { Pipeline } from './pipeline.js';
import type { SegmentChain } from './segment-chain.js';
import type { Watermarks } from './watermarks.js';
import type { WriterCounters, WriterParts } from './writer-parts.js';

/**
 * Rolls from a segment to the next one. The header of the next segment is durable before any other byte of it is written;
 * the old segment is durable and trimmed before the next one is named; and the name is durable before anything in the next
 * one is acknowledged.
 */
export class Roll {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #counters: WriterCounters;
  readonly #failure: FinalFailure;
  readonly #watermarks: Watermarks;
  readonly #chain: SegmentChain;
  readonly #isPipelined: boolean;
  readonly #pipeline: Pipeline;
  readonly #files: SegmentFiles;
  readonly #onRoll: () => void;

  /** @param onRoll - called when a segment was sealed and the name of the next one is durable */
  constructor(
    { environment, settings, counters, failure, watermarks, chain, isPipelined, pipeline }: WriterParts,
    files: SegmentFiles,
    onRoll: () => void,
  ) {
    this.#environment = environment;
    this.#settings = settings;
    this.#counters = counters;
    this.#failure = failure;
    this.#watermarks = watermarks;
    this.#chain = chain;
    this.#isPipelined = isPipelined;
    this.#pipeline = pipeline;
    this.#files = files;
    this.#onRoll = onRoll;
  }

  /**
   * Starts a roll on the way of a group: from here on writes go to the next segment. The rest of the roll is in flight, and
   * the next roll waits for its end.
   */
  *start(next: ActiveSegment): IoRoutine<void> {
    const chain = this.#chain;
    yield* this.#until(() => chain.named === chain.current);
    // A roll never goes back: it would rename another file to the name of an existing segment.
    if (chain.current !== undefined && next.header.number <= chain.current.header.number) throw rollsBack(next.path);
    if (!this.#isPipelined) yield* this.#drained();
    yield* this.#files.create(next);
    const old = chain.current;
    chain.current = next;
    this.#pipeline.start(this.#complete(old, next), () => this.#activate(next));
    if (!this.#isPipelined) yield* this.#drained();
  }

  /**
   * Makes everything durable and creates a new segment, unless the newest one has no record.
   *
   * @param sync - makes everything durable that was encoded
   * @throws `WAL_NO_SPACE` when the disk is full, with nothing changed: not a final failure
   */
  *now(sync: () => IoRoutine<void>): IoRoutine<void> {
    const chain = this.#chain;
    const last = chain.active ?? chain.sealed.last;
    if (last !== undefined && isEmpty(last)) {
      yield* sync();
      return;
    }
    // Planned before anything waits: records appended meanwhile are encoded into the new segment.
    const next = chain.plan();
    // Behind the planning, during which the clock may append.
    chain.before = chain.active;
    chain.active = next;
    try {
      yield* this.#to(next, sync);
    } finally {
      chain.before = undefined;
    }
  }

  /** Makes everything durable before a planned segment, and creates that. On a full disk it is taken back. */
  *#to(next: ActiveSegment, sync: () => IoRoutine<void>): IoRoutine<void> {
    const chain = this.#chain;
    try {
      yield* sync();
    } catch (error) {
      // There was no room for what was appended before: it waits for some.
      this.#unplan(next);
      throw error;
    }
    // Records appended during the sync were written with it, and have carried out this roll already, or further ones.
    if (chain.named !== undefined && chain.named.header.number >= next.header.number) return;
    try {
      yield* this.#files.createWithReserve(next);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw this.#failure.fail(error);
      this.#unplan(next);
      throw error;
    }
    const old = chain.current;
    // Set first: if the log has failed meanwhile, this file is closed with the log.
    chain.current = next;
    try {
      yield* this.#failure.guarded(this.#seal(old, next));
      yield* this.#files.nameOrRefuse(next);
    } catch (error) {
      if (this.#failure.error === undefined) {
        this.#files.close(next);
        chain.current = old;
        this.#unplan(next);
      }
      throw error;
    }
    this.#activate(next);
  }

  /**
   * Creates a segment for the next record, if there is none.
   *
   * @throws `WAL_NO_SPACE` when the disk is full: not a final failure, as nothing was lost
   */
  *begin(): IoRoutine<void> {
    this.#failure.throwIfFailed();
    if (this.#chain.active !== undefined) return;
    const next = this.#chain.plan();
    yield* this.#files.create(next);
    yield* closingOnFailure(this.#environment, next, this.#nameFirst(next));
    this.#activate(next);
    this.#chain.active = next;
  }

  /** Waits until a condition holds that depends on what is in flight. @throws the first failure */
  #until(holds: () => boolean): IoRoutine<void> {
    return this.#failure.unless(this.#pipeline.until(holds));
  }

  #drained(): IoRoutine<void> {
    return this.#until(() => this.#pipeline.isEmpty);
  }

  /** Seals the old segment and names the next one. */
  *#complete(old: ActiveSegment | undefined, next: ActiveSegment): IoRoutine<void> {
    yield* this.#seal(old, next);
    yield* this.#files.name(next);
    if (old !== undefined && isEmpty(old)) yield* this.#files.removeReplaced(old);
  }

  /** Makes the old segment durable, and cuts it behind its last used block. */
  *#seal(old: ActiveSegment | undefined, next: ActiveSegment): IoRoutine<void> {
    if (old !== undefined) {
      // In flight, it waits on while the old segment waits for room on the disk.
      yield* this.#failure.unless(this.#pipeline.untilWritten(() => old.isWritten));
      if (old.dirty) yield* this.#files.datasync(old);
      // The log may still go on in the old segment: its next record may begin in the same block.
      this.#watermarks.provenDurable(next.header.firstLsn - 1, positionAt(old));
      yield* this.#files.trimPreallocation(old);
    }
  }

  /** Names the first segment, where a failure of the rename is not final. */
  *#nameFirst(next: ActiveSegment): IoRoutine<void> {
    yield* this.#files.name(next);
    this.#failure.throwIfFailed();
  }

  /**
   * Continues with the segment before one for which there was no room. Where records were appended for it meanwhile it stays
   * planned: the next group carries out the roll.
   */
  #unplan(next: ActiveSegment): void {
    if (this.#chain.active === next && isEmpty(next)) this.#chain.active = this.#chain.before;
  }

  /**
   * Called when the next segment is named: adds the old one to the sealed segments, unless it was empty and is
   * replaced.
   */
  #activate(next: ActiveSegment): void {
    const chain = this.#chain;
    const { last } = chain.sealed;
    if (last !== undefined && isEmpty(last)) chain.sealed.pop();
    const old = chain.named;
    if (old !== undefined && !isEmpty(old)) {
      this.#files.close(old);
      this.#counters.rolls++;
      const { header, path, end, sparseIndex, sessions } = old;
      const sealed = { header, path, end, nextLsn: next.header.firstLsn, sparseIndex, sessions };
      chain.sealed.push(sealed);
      this.#announce(sealed, next);
    }
    chain.current = next;
    chain.named = next;
    this.#watermarks.provenDurable(next.header.firstLsn - 1, next.header.firstPosition);
    if (old !== undefined) this.#onRoll();
  }

  #announce(sealed: Segment, active: ActiveSegment): void {
    if (!writerChannels.roll.hasSubscribers) return;
    const { directory } = this.#settings;
    announce(writerChannels.roll, {
      directory,
      sealed: metaOf(sealed, 'sealed'),
      active: metaOf(active.asWritten, 'active'),
    });
  }
}
