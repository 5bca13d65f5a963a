import { type CoreEntry, compareEntries, PerCoreWalReader } from '@walstack/percore';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { printable } from '../output/record-text.js';
import { timeText } from '../output/units.js';
import { decodingOf, type KeyOptions } from './options.js';
import { formatOf, type SelectionOptions } from './selection.js';
import type { CoresTarget } from './target.js';

/** Which entries of a per-core log are printed, and how. */
export interface EntryOptions extends KeyOptions, SelectionOptions {
  readonly core?: number;
  readonly limit?: number;
}

/** Prints the entries of a per-core log in their order, without a lock. @returns how many */
export async function printEntries(target: CoresTarget, options: EntryOptions, context: Context): Promise<number> {
  const { core, limit = Number.POSITIVE_INFINITY, since = 0, type } = options;
  const format = formatOf(options);
  if (format === 'utf8' || format === 'hex')
    throw new UsageError('entries of a per-core log are printed as line or json');
  const ids = target.cores.map(({ coreId }) => coreId as number).filter((id) => core === undefined || id === core);
  if (ids.length === 0) throw new UsageError(`${target.directory} has no core ${core}`);
  const decoding = await decodingOf(options);
  const readers = await Promise.all(
    ids.map((id) => PerCoreWalReader.open(id, target.directory, { ...decoding, signal: context.signal })),
  );
  let printed = 0;
  try {
    for await (const entry of merged(readers)) {
      if (entry.timestampUs / 1000 < since) continue;
      if (type !== undefined && !type.includes(TYPES[entry.operation])) continue;
      if (format === 'json') await context.out.json(entryJson(entry));
      else await context.out.line(entryLine(entry));
      if (++printed >= limit) break;
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.close()));
  }
  return printed;
}

/** The types of the records that hold entries. */
const TYPES: Readonly<Record<CoreEntry['operation'], number>> = {
  put: 1,
  delete: 2,
  checkpoint: 3,
  epochBarrier: 4,
  commit: 5,
};

/** The entries of several readers in one order, up to the present end of each. */
async function* merged(readers: readonly PerCoreWalReader[]): AsyncGenerator<CoreEntry> {
  const heads = await Promise.all(readers.map(async (reader) => ({ reader, entry: await nextOf(reader) })));
  for (;;) {
    let first: (typeof heads)[number] | undefined;
    for (const head of heads) {
      if (head.entry === undefined) continue;
      if (first?.entry === undefined || compareEntries(head.entry, first.entry) < 0) first = head;
    }
    if (first?.entry === undefined) return;
    yield first.entry;
    first.entry = await nextOf(first.reader);
  }
}

async function nextOf(reader: PerCoreWalReader): Promise<CoreEntry | undefined> {
  const entry = reader.next();
  if (entry !== undefined) return entry;
  return (await reader.advance()) ? nextOf(reader) : undefined;
}

function entryJson(entry: CoreEntry): unknown {
  const plain = Object.entries(entry).map(([name, value]) =>
    value instanceof Uint8Array
      ? [`${name}Base64`, Buffer.from(value).toString('base64')]
      : [name, value instanceof Map ? Object.fromEntries(value) : value],
  );
  return Object.fromEntries(plain);
}

function entryLine(entry: CoreEntry): string {
  const { coreId, epoch, sequence, timestampUs, operation } = entry;
  const place = `core ${coreId}  epoch ${epoch}  ${String(sequence).padStart(8)}  ${timeText(Math.floor(timestampUs / 1000))}`;
  return `${place}  ${operation.padEnd(12)}  ${contentOf(entry)}`.trimEnd();
}

function contentOf(entry: CoreEntry): string {
  if (entry.operation === 'put') return `${printable(entry.key, 60)} = ${printable(entry.value, 100)}`;
  if (entry.operation === 'delete') return printable(entry.key, 60);
  if (entry.operation === 'checkpoint') return String(entry.checkpointId);
  if (entry.operation === 'epochBarrier') return entry.last ? 'last' : '';
  return JSON.stringify(entryJson(entry), (_key, value) => (typeof value === 'bigint' ? String(value) : value));
}
