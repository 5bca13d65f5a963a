import { isDeepStrictEqual } from 'node:util';
import { WalError } from '@walstack/codec';
import { LogTail, replayDirectory } from '@walstack/mmap-reader';
import {
  type AppendOptions,
  type Replay,
  SegmentedWal,
  type SegmentedWalConfig,
  type WalRecord,
} from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';

/** Type, meta and scope of a record, as its payload says them: so that they are known wherever it is found. */
const MARKED = /\/t(\d)m(\d)s(\d)\//;

/** The part of a payload that says what its record has besides it. */
export function markOf(random: () => number): string {
  const digit = (below: number): number => Math.floor(random() * below);
  return `/t${digit(3)}m${digit(3)}s${digit(3)}/`;
}

/** What a record with this payload is appended with; nothing where it does not say. */
export function optionsIn(payload: string): AppendOptions {
  const [, type, meta, scope] = MARKED.exec(payload.slice(0, 80)) ?? [];
  if (type === undefined) return {};
  return {
    type: Number(type),
    ...(meta === '0' ? {} : { meta: `meta ${meta}` }),
    ...(scope === '0' ? {} : { tenantId: 7, vshardId: Number(scope) }),
  };
}

/** A record as it is compared. */
export interface ReadRecord {
  readonly lsn: number;
  readonly payload: string;
  readonly type: number;
  readonly meta: string;
  readonly shard: number | undefined;
}

/** @throws an error when it has another type, meta or scope than its payload says */
export function readRecord({ lsn, payload, type, meta, scope }: WalRecord): ReadRecord {
  const text = Buffer.from(payload).toString('latin1');
  const record = { lsn, payload: text, type, meta: Buffer.from(meta).toString(), shard: scope?.vshardId };
  const wanted = optionsIn(text);
  const same =
    record.type === (wanted.type ?? 0) && record.meta === (wanted.meta ?? '') && record.shard === wanted.vshardId;
  if (!same) throw new Error(`the record ${text.slice(0, 40)} has other properties: ${JSON.stringify(record)}`);
  return record;
}

/** What the files of a log are read with, without opening it. */
type Unopened = SegmentedWalConfig & { readonly io: StorageIo };

/**
 * Reads a log as it is before anything is recovered, in several ways.
 *
 * @returns what is in it, and `undefined` where there is no log
 */
export async function readBefore(config: Unopened): Promise<readonly ReadRecord[] | undefined> {
  const records = await readOnly(config);
  if (records === undefined) return undefined;
  const { io, directory } = config;
  const decoding = decodingOf(config);
  expectSame('a tail', await tailed(new LogTail(io, directory, decoding)), records);
  const durable = await tailed(new LogTail(io, directory, { ...decoding, durableOnly: true }));
  expectSame('a tail of what is durable', durable, records.slice(0, durable.length));
  return records;
}

const decodingOf = ({ keyRing }: SegmentedWalConfig) => (keyRing === undefined ? {} : { keyRing });

async function readOnly(config: SegmentedWalConfig): Promise<readonly ReadRecord[] | undefined> {
  let wal: SegmentedWal;
  try {
    wal = await SegmentedWal.open({ ...config, recoveryMode: 'readonly' });
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
    throw error;
  }
  try {
    return await all(wal.replay());
  } finally {
    await wal.close();
  }
}

/** Reads a log that was just opened in all ways in which it can be read, and holds each against what is in it. */
export async function readInEveryWay(
  wal: SegmentedWal,
  config: Unopened,
  records: readonly ReadRecord[],
  random: () => number,
): Promise<void> {
  const { io, directory } = config;
  const from = wal.firstLsn + Math.floor(random() * (records.length + 1));
  const to = from + Math.floor(random() * 3);
  const behind = records.filter(({ lsn }) => lsn >= from);
  expectSame('replay from an LSN', await all(wal.replayFrom(from)), behind);
  const page = await wal.replayFromLimit(from, 3);
  expectSame('a page', page.records.map(readRecord), behind.slice(0, 3));
  const types = [Math.floor(random() * 3)];
  const ofType = records.filter(({ type }) => types.includes(type));
  expectSame('records of a type', await all(wal.replay({ types })), ofType);
  const ofScope = behind.filter(({ shard, lsn }) => shard === 1 && lsn <= to);
  expectSame(
    'records of a scope',
    await all(wal.replayFrom(from, { scope: { tenantId: 7, vshardId: 1 }, to })),
    ofScope,
  );
  const one = await wal.read(from);
  expectSame('one record', one === undefined ? [] : [readRecord(one)], behind.slice(0, 1));

  const decoding = decodingOf(config);
  const found: ReadRecord[] = [];
  for await (const record of replayDirectory(directory, { io, from, ...decoding })) found.push(readRecord(record));
  expectSame('the directory', found, behind);
  expectSame('a tail', await tailed(new LogTail(io, directory, { from, ...decoding })), behind);
  const durable = await tailed(new LogTail(io, directory, { from, durableOnly: true, ...decoding }));
  // Opening leaves nothing that is not, and the log says so.
  expectSame('a tail of what is durable', durable, behind);
  const beside = (await readOnly(config)) ?? [];
  expectSame('a log opened beside its writer', beside, records.slice(0, beside.length));
  if (wal.durableLsn > (beside.at(-1)?.lsn ?? 0) && wal.durableLsn >= wal.firstLsn) {
    throw new Error(`beside its writer the log ends with ${beside.at(-1)?.lsn}, and ${wal.durableLsn} is durable`);
  }
}

/** @throws an error that says where two readings of a log differ */
export function expectSame(what: string, found: readonly ReadRecord[], expected: readonly ReadRecord[]): void {
  if (isDeepStrictEqual(found, expected)) return;
  const at = expected.findIndex((record, index) => !isDeepStrictEqual(record, found[index]));
  const lsns = (records: readonly ReadRecord[]): string => `${records[0]?.lsn} to ${records.at(-1)?.lsn}`;
  throw new Error(`${what} has ${lsns(found)}, expected ${lsns(expected)}; they differ at ${at}`);
}

async function all(replay: Replay): Promise<ReadRecord[]> {
  const records: ReadRecord[] = [];
  for await (const record of replay) records.push(readRecord(record));
  return records;
}

async function tailed(tail: LogTail): Promise<ReadRecord[]> {
  const records: ReadRecord[] = [];
  try {
    while (await tail.advance()) {
      for (let record = tail.next(); record !== undefined; record = tail.next()) records.push(readRecord(record));
    }
  } finally {
    tail.close();
  }
  return records;
}
