import { errnoNamed } from '../../errors/system-error.js';

/**
 * How a read or write continues that the operating system carries out in pieces: the rule that all backends share.
 * Numbers only, so that no object is allocated for a piece.
 */

/** An interrupted operation that has moved nothing is repeated; after so many times it fails. */
export const REPEATS_MAX = 100;

const EINTR = errnoNamed('EINTR');
const EAGAIN = errnoNamed('EAGAIN');

/** Whether an operation was interrupted, so that it is to be repeated. */
export const isInterrupted = (result: number): boolean => result === EINTR || result === EAGAIN;

/**
 * Whether a piece of `count` bytes is the last one: everything has been moved, or a read has met the end of the file. It
 * has also met it where it ends inside a block: direct I/O cannot read from an unaligned offset.
 *
 * @param moved - bytes, this piece included
 */
export const isLastPiece = (
  reading: boolean,
  count: number,
  moved: number,
  length: number,
  alignment: number,
): boolean => moved === length || (reading && (count === 0 || count % alignment !== 0));

/** How many bytes of a piece need not be moved again: a block that was written only in part is written as a whole. */
export const wholeBlocks = (count: number, alignment: number): number => count - (count % alignment);
