import type { AppendOptions, WalEvent } from '@walstack/wal';
import type { Line } from './lines.js';

/** How a line is stored in the log: its bytes are the payload, its number the meta, and the type says how it ends. */
const ENDED = 0;
const UNENDED = 1;

/** The options of `commit` for a line. */
export const optionsFor = (line: Line, number: number): AppendOptions => ({
  type: line.ended ? ENDED : UNENDED,
  meta: String(number),
});

/** The number of the line that an event was made of. */
export const numberOf = ({ meta }: WalEvent): number => Number(Buffer.from(meta).toString());

/** Whether an event is this line, byte for byte. */
export const isLine = (event: WalEvent, line: Line): boolean =>
  line.bytes.equals(event.payload) && endsWithLineFeed(event) === line.ended;

/** Whether a line feed ended the line. */
export const endsWithLineFeed = ({ type }: WalEvent): boolean => type === ENDED;
