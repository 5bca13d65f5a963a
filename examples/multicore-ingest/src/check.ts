import { type CoreEntry, compareEntries, PerCoreRecovery } from '@walstack/percore';
import { decodeLine, linesOf, type NumberedLine } from './lines.js';

/** What was found in the logs of all cores. */
export interface Check {
  /** Lines in the logs. */
  readonly recovered: number;
  /** Cores with an acknowledged line that is missing. */
  readonly lost: number;
  /** Lines that are not the next ones of their core, or are out of order. */
  readonly wrong: number;
  readonly completeEpoch: number;
}

/** What the logs are compared with. */
export interface Expected {
  readonly file: string;
  readonly cores: number;
  /** Of each core, the number of the last line that was acknowledged. */
  readonly acknowledged: readonly number[];
}

/** Recovers the logs, and compares every entry of the merged stream with the expected line of the file. */
export async function check(directory: string, { file, cores, acknowledged }: Expected): Promise<Check> {
  await using recovery = await PerCoreRecovery.open({ directory });
  const lines = Array.from({ length: cores }, (_, coreId) => linesOf(file, coreId, cores));
  const last = Array.from({ length: cores }, () => 0);
  let recovered = 0;
  let wrong = 0;
  let before: CoreEntry | undefined;
  for await (const entry of recovery.entries()) {
    if (before !== undefined && compareEntries(before, entry) >= 0) wrong++;
    before = entry;
    if (entry.operation !== 'put') continue;
    recovered++;
    const line = decodeLine(entry.value);
    const expected = await lines[entry.coreId]?.next();
    if (expected === undefined || !isLine(line, expected.value)) wrong++;
    last[entry.coreId] = line.number;
  }
  for (const each of lines) await each.return(undefined);
  const lost = acknowledged.filter((number, coreId) => (last[coreId] ?? 0) < number).length;
  return { recovered, lost, wrong, completeEpoch: recovery.completeEpoch };
}

const isLine = (line: NumberedLine, expected: NumberedLine | undefined): boolean =>
  expected?.number === line.number && expected.text === line.text;
