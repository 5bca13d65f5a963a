import { WalError } from '@walstack/codec';
import type { Frames } from '../frames/frames.js';

/** The error of a reading that failed: one that says so where the application has transferred the memory of its records away. */
export function unlessTransferred(error: unknown, frames: Frames | undefined): unknown {
  if (!(error instanceof TypeError) || frames?.isDetached !== true) return error;
  const { path, nextLsn } = frames;
  const what = `${path}: the memory with the record before LSN ${nextLsn}, and what follows it, was transferred away: transfer copies instead`;
  return new WalError('WAL_STATE', what, { path, state: 'transferred' }, { cause: error });
}
