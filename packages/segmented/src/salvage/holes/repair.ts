import type { Lsn } from '@walstack/codec';
import type { Gap } from './gap.js';

/** A segment file that is made again around its damage, or in the place of one that is lost. */
export interface Repair {
  readonly name: string;
  /** The name in quarantine of the damaged file, which is moved there; `undefined` when there is none. */
  readonly original: string | undefined;
  /** The first 128 bytes: those of the damaged file, or new ones for a segment of which nothing can be read. */
  readonly header: Uint8Array;
  /** Whether everything but the gaps is copied from the damaged file. */
  readonly isCopied: boolean;
  readonly gaps: readonly Gap[];
  /** Where its frames end, and the LSN behind the last one. */
  readonly end: number;
  readonly nextLsn: Lsn;
  /** The size of the file; behind `end` it is zeros when nothing follows it in the log. */
  readonly size: number;
  readonly isLast: boolean;
}

/** A repair that an earlier round of the same salvage has carried out. */
export interface EarlierRepair extends Pick<Repair, 'name' | 'original' | 'header'> {
  /** The LSN with which the successor of the segment began; `undefined` when it had none. */
  readonly limit: Lsn | undefined;
}
