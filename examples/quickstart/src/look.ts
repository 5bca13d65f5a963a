import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { SegmentedWal } from '@walstack/segmented';
import { WalError } from '@walstack/wal';
import { endsWithLineFeed } from './line-event.js';
import { DEFAULT_DATA, fromUser } from './places.js';

const HELP = `Shows what is in a log.

  npm run look -- [DIRECTORY]    default data/quickstart

  --from LSN    begin with this event (default: the first)
  --limit N     show so many events (default 10)
  --raw         nothing but the lines, all of them, byte for byte`;

/** A payload for the screen: printable, and not too long. */
const shown = (payload: Uint8Array): string => {
  const text = Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.length, 100)).toString();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters must not reach the terminal
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, '·') + (payload.length > 100 ? ' …' : '');
};

const time = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replace('Z', '');

function look(wal: SegmentedWal, from: number, limit: number): void {
  console.log(`${wal.directory}: LSN ${wal.firstLsn} to ${wal.lastLsn}, ${wal.totalSizeBytes()} bytes\n`);
  console.log('  segment  first LSN   last LSN       bytes  created');
  for (const segment of wal.listSegments()) {
    const columns = [segment.number, segment.firstLsn, segment.lastLsn ?? '–', segment.sizeBytes];
    const widths = [9, 11, 11, 12];
    const row = columns.map((value, index) => String(value).padStart(widths[index] ?? 0)).join('');
    console.log(`${row}  ${time(segment.createdAtMs)}`);
  }
  console.log('\n        LSN  appended                 payload');
  const { records, more } = wal.replayFromLimitSync(from, limit);
  for (const { lsn, timestampMs, payload } of records) {
    console.log(`${String(lsn).padStart(11)}  ${time(timestampMs)}  ${shown(payload)}`);
  }
  if (more) console.log(`        …  ${wal.lastLsn - from + 1 - records.length} more`);
}

const LINE_FEED = Buffer.from('\n');

/** The lines as they were in the file, in larger pieces. */
function* pieces(wal: SegmentedWal, from: number): Generator<Buffer> {
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  for (const record of wal.replayFrom(from)) {
    gathered.push(record.payload);
    if (endsWithLineFeed(record)) gathered.push(LINE_FEED);
    bytes += record.payload.length + 1;
    if (bytes < 64 * 1024) continue;
    yield Buffer.concat(gathered);
    gathered = [];
    bytes = 0;
  }
  yield Buffer.concat(gathered);
}

async function raw(wal: SegmentedWal, from: number): Promise<void> {
  try {
    await pipeline(Readable.from(pieces(wal, from)), process.stdout, { end: false });
  } catch (error) {
    // The reader of the output may have ended: `| head`.
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      from: { type: 'string' },
      limit: { type: 'string', default: '10' },
      raw: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const directory = positionals[0] === undefined ? resolve(DEFAULT_DATA) : fromUser(positionals[0]);
  const wal = SegmentedWal.openSync({ directory, create: false });
  try {
    const from = values.from === undefined ? wal.firstLsn : Number(values.from);
    if (values.raw) await raw(wal, from);
    else look(wal, from, Number(values.limit));
  } finally {
    wal.closeSync();
  }
}

try {
  await main();
} catch (error) {
  console.error(WalError.is(error) ? `${error.code}: ${error.message}` : (error as Error).message);
  process.exitCode = 1;
}
