import { KeyRing, SegmentedWal, type SegmentedWalConfig, type WalRecord } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { Random } from '../../random.js';
import { backendWith, DIRECTORY, type Files, filesOn } from './files.js';

/** What a record is, as text, so that two can be compared at a glance. */
export const described = ({ lsn, type, meta, payload, scope }: WalRecord): string =>
  [
    lsn,
    type,
    Buffer.from(meta).toString('hex'),
    Buffer.from(payload).toString('hex'),
    scope === undefined ? '-' : Object.values(scope).join('.'),
  ].join('/');

/** A log in memory of which everything is known. */
export interface KnownLog {
  readonly files: Files;
  /** Every record that was ever appended, {@link described}. */
  readonly records: readonly string[];
  readonly firstLsn: number;
  /** Everything up to it was acknowledged. */
  readonly durableLsn: number;
}

/** The keys that logs are encrypted with, one of them the current one. */
export function ringOf(currentId: number): KeyRing {
  const keys = [1, 2, 3].map((id) => ({ id, key: new Uint8Array(32).fill(id) }));
  return KeyRing.of(keys[currentId - 1] as (typeof keys)[0], keys);
}

/** The keys of those logs that are encrypted. */
export const makeKeys = (): KeyRing => ringOf(1);

const COMPRESSION = { codec: 'deflate', thresholdBytes: 1 } as const;
const TRANSFORMS: readonly Partial<SegmentedWalConfig>[] = [
  { keyRing: makeKeys() },
  { compression: COMPRESSION },
  { keyRing: makeKeys(), compression: COMPRESSION },
];

/** Options of logs for fuzzing: all that comes from outside is chance from a seed, and no timer ever fires. */
export const configOf = (
  random: Random,
): Pick<SegmentedWalConfig, 'now' | 'setTimer' | 'randomBytes' | 'directory'> => ({
  directory: DIRECTORY,
  now: () => 1_700_000_000_000 + random.integer(0, 1000),
  setTimer: () => () => {},
  randomBytes: (length) => Uint8Array.from({ length }, () => random.integer(0, 255)),
});

/** Logs of some runs each: short and long segments, groups and marks, closed and killed, truncated and not. */
export const PLAIN_LOGS: readonly KnownLog[] = Array.from({ length: 24 }, (_, index) =>
  knownLog(new Random(index), {}),
);

/** The same, and some whose payloads are encrypted, or compressed, or both. */
export const KNOWN_LOGS: readonly KnownLog[] = [
  ...PLAIN_LOGS,
  ...Array.from({ length: 12 }, (_, index) => knownLog(new Random(100 + index), TRANSFORMS[index % 3])),
];

function knownLog(random: Random, transforms: Partial<SegmentedWalConfig> = {}): KnownLog {
  const blockBytes = random.pick([512, 512, 1024]);
  const config = {
    ...configOf(random),
    blockBytes,
    segmentBytes: blockBytes * random.integer(2, 5),
    padGroups: random.chance(0.5),
    firstLsn: random.pick([1, 1, 100]),
    ...transforms,
  };
  // What is compressed has to be worth it.
  const byteMost = transforms.compression === undefined ? 255 : 1;
  const records: string[] = [];
  let io = createMemoryStorageIo();
  let firstLsn = 0;
  let durableLsn = 0;
  for (let runs = random.integer(1, 3); runs > 0; runs--) {
    const log = SegmentedWal.openSync({ ...config, io });
    for (let group = random.integer(1, 6); group > 0; group--) {
      for (let count = random.integer(1, 4); count > 0; count--) appendOne(log, random, records, byteMost);
      log.syncSync();
    }
    ({ durableLsn } = log);
    if (random.chance(0.3)) log.truncateBeforeSync(random.integer(log.firstLsn, log.nextLsn));
    if (random.chance(0.5)) {
      appendOne(log, random, records, byteMost);
      log.flushSync();
    }
    ({ firstLsn } = log);
    if (random.chance(0.4)) {
      log.closeSync();
      durableLsn = log.lastLsn;
    }
    // Killed or closed: the next opening of these files has nothing to do with this run.
    io = backendWith(filesOn(io));
  }
  return { files: filesOn(io), records, firstLsn, durableLsn };
}

function appendOne(log: SegmentedWal, random: Random, records: string[], byteMost: number): void {
  const length = random.pick([0, 1, 8, 30, 90, 200, 480, 900]);
  const payload = Uint8Array.from({ length }, () => random.integer(0, byteMost));
  const meta = Uint8Array.from({ length: random.pick([0, 0, 0, 5, 40]) }, () => random.integer(0, 255));
  const type = random.integer(0, 3);
  const scope = random.chance(0.2) ? { tenantId: 7n, databaseId: BigInt(random.seed()), vshardId: 3 } : undefined;
  const lsn = log.append(payload, { type, meta, ...scope });
  records.push(described({ lsn, type, meta, payload, scope, timestampMs: 0 }));
}
