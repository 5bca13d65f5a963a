import type { CoreEntry, PerCoreRecovery } from '@walstack/percore';
import { expect, test } from 'vitest';
import { Random } from '../src/random.js';
import { CoreLedgers } from '../src/torture/expected/core-ledgers.js';
import { Puts } from '../src/torture/expected/puts.js';
import { Snapshots } from '../src/torture/expected/snapshots.js';
import { takeStock } from '../src/torture/expected/stock-taking.js';
import { optionsOf } from '../src/torture/tortured-log.js';
import { temporaryDirectory } from '../test-kit/temporary-directory.js';

const SEED = 5;
const OPTIONS = optionsOf({ padGroups: false, api: 'percore' }, new Random(SEED));
const PUTS = new Puts(SEED, 0, OPTIONS);
const PLACE = { coreId: 0, epoch: 1, timestampUs: 0, sequence: 0 };

/** The puts of a run, with what it removed behind them. */
function entriesOf(run: number, from: number, to: number): CoreEntry[] {
  const entries: CoreEntry[] = [];
  for (let number = from; number <= to; number++) {
    entries.push({ ...PLACE, operation: 'put', ...PUTS.of(run, number) });
    const key = PUTS.removedBehind(run, number);
    if (key !== undefined) entries.push({ ...PLACE, operation: 'delete', key });
  }
  return entries;
}

/** What is wrong with a log that has these entries, of which a checkpoint may stand for the first ones. */
async function breachOf(entries: readonly CoreEntry[], covered = 0): Promise<string | undefined> {
  const snapshots = new Snapshots(temporaryDirectory());
  snapshots.write(1, new Map([[0, covered]]));
  const recovery = {
    checkpoint: { id: 1 },
    offsets: new Map(),
    entries: () => ({ forEach: async (take: (entry: CoreEntry) => void) => entries.forEach(take) }),
  } as unknown as PerCoreRecovery;
  const ledgers = new CoreLedgers();
  ledgers.takeAll(1, [
    { what: 'opened', core: 0, firstLsn: 1, nextLsn: 1 },
    { what: 'acknowledged', core: 0, lsn: 200 },
  ]);
  if (covered > 0) ledgers.take(1, { what: 'truncating', core: 0, lsn: covered + 1 });
  let text: string | undefined;
  await takeStock(recovery, snapshots, { seed: SEED, options: OPTIONS }, (report) => {
    text ??= ledgers.take(2, report)?.text;
  });
  return text;
}

const ALL = entriesOf(1, 1, 200);
const REMOVALS = ALL.flatMap(({ operation }, at) => (operation === 'delete' ? [at] : []));
const [removal = 0] = REMOVALS;

test('what was put and what was removed is read back', async () => {
  expect(REMOVALS.length).toBeGreaterThan(1);
  expect(await breachOf(ALL)).toBeUndefined();
});

test('a key that was not removed is missing', async () => {
  expect(await breachOf(ALL.toSpliced(removal, 1))).toContain('what was removed behind it is not there');
});

test.each([
  ['twice', removal],
  ['where nothing was', removal + 3],
])('a key that is removed %s is found', async (_what, at) => {
  expect(await breachOf(ALL.toSpliced(at, 0, ALL[removal] as CoreEntry))).toContain('something else was removed');
});

test('what was removed last may be lost at the end of a run', async () => {
  const upTo = ALL.slice(0, REMOVALS.at(-1));
  const puts = upTo.filter(({ operation }) => operation === 'put').length;
  expect(await breachOf([...upTo, ...entriesOf(2, puts + 1, 210)])).not.toContain('removed');
});

test('a checkpoint may stand for a put and not for what was removed behind it', async () => {
  const covered = ALL.slice(0, removal).filter(({ operation }) => operation === 'put').length;
  expect(await breachOf(ALL.slice(removal), covered)).toBeUndefined();
  expect(await breachOf(ALL.slice(removal + 1), covered)).toBeUndefined();
});
