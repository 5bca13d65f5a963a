import { readdirSync, readFileSync } from 'node:fs';
import { WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { expect, test } from 'vitest';
import type { ChangedLog } from '../src/fuzz/checks/log-check.js';
import { fromText, toText } from '../src/fuzz/corpus-format.js';
import { backendWith } from '../src/fuzz/logs/files.js';
import { configOf } from '../src/fuzz/logs/known-logs.js';
import { TARGETS } from '../src/fuzz/targets/targets.js';
import { Random } from '../src/random.js';

/** An input that is kept. */
interface Kept {
  readonly target: string;
  readonly input: unknown;
  /** For logs: what opening them says. */
  readonly answer?: string;
}

const CORPUS = new URL('../corpus/', import.meta.url);

const kept = readdirSync(CORPUS)
  .filter((name) => name.endsWith('.json'))
  .map((name): [string, Kept] => [name, fromText(readFileSync(new URL(name, CORPUS), 'utf8')) as Kept]);

/** What opening the files of a log says, in a few words. */
function answerOf({ files }: ChangedLog): string {
  try {
    const log = SegmentedWal.openSync({ ...configOf(new Random(1)), io: backendWith(files), blockBytes: 512 });
    return `${log.recovery.cleanlyClosed ? 'closed' : 'killed'}, ${log.recovery.cutBytes > 0 ? 'torn' : 'whole'}`;
  } catch (error) {
    return WalError.is(error) ? `${error.code} ${error.reason}` : String(error);
  }
}

test.each(kept)('%s', (_name, { target, input, answer }) => {
  const found = TARGETS.find(({ name }) => name === target);
  expect(found, `there is no target "${target}"`).toBeDefined();
  found?.replay(toText(input));
  // What was kept of a log says what its files are.
  if (answer !== undefined) expect(answerOf(input as ChangedLog)).toBe(answer);
});
