import { frameStart, MARK_FRAME_BYTES, MarkType, writeMark } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import type { ActiveSegment } from '../segments/active-segment.js';
import { reserveBlocks } from './allocation/blocks.js';
import { makeRoom } from './allocation/with-room.js';
import type { DurableGroupWriter } from './durable-group-writer.js';
import type { WriterParts } from './writer-parts.js';

/** Writes marks, which state that everything before them is durable. */
export class MarkWriter {
  readonly #parts: WriterParts;
  readonly #groups: DurableGroupWriter;

  constructor(parts: WriterParts, groups: DurableGroupWriter) {
    this.#parts = parts;
    this.#groups = groups;
  }

  /**
   * Writes a mark and makes it durable, if everything appended is durable already; else it does nothing.
   *
   * @param type - one of `MarkType`
   */
  mark(type: number): IoRoutine<void> {
    return this.#parts.failure.guarded(this.#write(type));
  }

  *#write(type: number): IoRoutine<void> {
    if (this.#segmentForMark === undefined) return;
    // First: the clock may append records, or roll the log.
    const now = this.#now();
    const marked = this.#segmentForMark;
    // Without room for it the write would fail, and with it a log of which everything is durable.
    if (marked === undefined || !(yield* this.#hasRoomFor(marked, type === MarkType.closed))) return;
    const { arena, watermarks, counters } = this.#parts;
    // Checked again, as calls during the reservation may have appended records.
    const segment = this.#segmentForMark;
    if (segment === undefined || segment !== marked) return;
    const elapsedMs = now - segment.header.createdAtMs;
    const offset = arena.place(segment, MARK_FRAME_BYTES);
    writeMark(arena.view, offset, watermarks.nextLsn, type, elapsedMs);
    arena.placed(offset + MARK_FRAME_BYTES, watermarks.nextLsn);
    // In a recycled file the earlier bytes behind the mark would look like a torn tail.
    if (type === MarkType.closed) arena.pad();
    watermarks.endsWithMark = true;
    counters.marks++;
    yield* this.#groups.syncAll();
  }

  /** The segment for a mark; `undefined` unless everything appended is durable, and where nothing was since a clean close. */
  get #segmentForMark(): ActiveSegment | undefined {
    const { chain, watermarks } = this.#parts;
    if (chain.active?.isClosed === true) return undefined;
    return chain.active === chain.named && watermarks.isEverythingDurable ? chain.active : undefined;
  }

  /** The time for a mark. What the clock of the application throws does not fail a log of which everything is durable. */
  #now(): number {
    try {
      return Number(this.#parts.environment.now());
    } catch {
      return Number.NaN;
    }
  }

  /** @param isLast - whether nothing is written behind the mark: then it may take what {@link makeRoom} gives */
  *#hasRoomFor(segment: ActiveSegment, isLast: boolean): IoRoutine<boolean> {
    const { arena, environment } = this.#parts;
    const from = arena.nextOffset(segment);
    const end = frameStart(from, segment.header.blockBytes) + MARK_FRAME_BYTES;
    while (!(yield* reserveBlocks(environment, segment, from, end))) {
      if (!isLast || !(yield* makeRoom(this.#parts))) return false;
    }
    return true;
  }
}
