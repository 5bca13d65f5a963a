import { Wal } from '@walstack/wal';
import { isLine, numberOf } from './line-event.js';
import { linesOf } from './lines.js';

/** What was found in the log after reopening it. */
export interface Check {
  /** Events in the log. */
  readonly recovered: number;
  /** Acknowledged lines that are missing or changed. */
  readonly lost: number;
  /** Events that repeat a line, or that are not a line of the file. */
  readonly duplicated: number;
}

/** Opens the log, which recovers it, and compares every event with its line of the file. */
export async function check(log: string, file: string, acknowledged: number): Promise<Check> {
  const wal = await Wal.open(log);
  const lines = linesOf(file);
  let recovered = 0;
  let intact = 0;
  let duplicated = 0;
  let expected = 1;
  await wal.replay(
    'first',
    async (event) => {
      recovered++;
      const number = numberOf(event);
      if (!(number >= expected)) {
        duplicated++;
        return;
      }
      for (; expected < number; expected++) await lines.next();
      const line = await lines.next();
      expected++;
      if (line.done === true || !isLine(event, line.value)) duplicated++;
      else if (number <= acknowledged) intact++;
    },
    { copy: false },
  );
  await lines.return();
  await wal.shutdown();
  return { recovered, lost: acknowledged - intact, duplicated };
}
