import type { FollowerStats, SegmentedWal, SegmentMeta } from '@walstack/segmented';
import { readFrames } from '@walstack/storage-io';
import { type Command, Option } from 'commander';
import type { Context } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { type CoreEpochs, epochsOf } from '../log/epochs.js';
import { frameAt, markName, partsOf, readSegment, walkFrames } from '../log/frame-walk.js';
import { type LogEnd, logEndText, withLogEnd } from '../log/locks.js';
import { withReadonly } from '../log/open-log.js';
import {
  type FramesOptions,
  framesOf,
  integer,
  type ReadLogOptions,
  withFramesOptions,
  withLogOptions,
} from '../log/options.js';
import { checkCore, type FramesTarget, logOf, logsOf, type Target, targetAt } from '../log/target.js';
import { hexLines } from '../output/record-text.js';
import { type Column, fieldLines, tableLines } from '../output/table.js';
import { ageText, bytesText, countText, lsnText, numberText, timeText } from '../output/units.js';

interface InspectOptions extends ReadLogOptions, FramesOptions {
  readonly segment?: number;
  readonly record?: number;
}

/** Adds `walstack inspect`. */
export function inspectCommand(program: Command, context: Context): void {
  withFramesOptions(withLogOptions(program.command('inspect')))
    .summary('segments, LSNs, sizes, holds, followers; one segment or one record in hex')
    .description('Shows what a log consists of, without a lock and without changing anything.')
    .argument('<log>', 'a directory with a log or a per-core log, or a file of frames')
    .addOption(new Option('--segment <number>', 'the header and the frames of one segment').argParser(integer(1)))
    .addOption(new Option('--record <lsn>', 'one record in hex, with its fields named').argParser(integer(1)))
    .addHelpText('after', EXAMPLES)
    .action((log: string, options: InspectOptions) => inspect(targetAt(log), options, context));
}

const EXAMPLES = `
Examples:
  walstack inspect data/events
  walstack inspect data/events --record 42
  walstack inspect data/events --segment 3 --json`;

async function inspect(target: Target, options: InspectOptions, context: Context): Promise<void> {
  const { segment, record } = options;
  checkCore(target, options.core);
  if (segment !== undefined && record !== undefined) throw new UsageError('--segment and --record exclude each other');
  if (segment !== undefined || record !== undefined) {
    const log = logOf(target, options.core, 'inspect with --segment or --record');
    await withReadonly(log, options, context, (wal) =>
      segment === undefined
        ? showRecord(wal, record as number, options, context)
        : showSegment(wal, segment, options, context),
    );
    return;
  }
  if (target.kind === 'frames') return await showFrames(target, options, context);
  const chosen = options.core === undefined ? logsOf(target, 'inspect') : [logOf(target, options.core, 'inspect')];
  const logs: unknown[] = [];
  for (const log of chosen) {
    const { result: facts, end } = await withLogEnd(log, () => withReadonly(log, options, context, logFacts));
    const epochs = await epochsOf(log, options);
    const shown = { ...facts, ...(facts.cutBytes > 0 ? { end } : {}) };
    if (options.json) logs.push({ ...shown, ...(epochs === undefined ? {} : { core: log.coreId, ...epochs }) });
    else await showLog(shown, epochs === undefined ? [] : epochLines(log.coreId as number, epochs), context);
  }
  if (options.json) await context.out.json(target.kind === 'cores' ? { directory: target.directory, logs } : logs[0]);
}

const epochLines = (coreId: number, { lastEpoch, barrierEpoch, entries }: CoreEpochs) =>
  [
    ['core', String(coreId)],
    ['epochs', `last ${lastEpoch}, complete in this log up to ${barrierEpoch}`],
    ['entries', numberText(entries)],
  ] as const;

/** What is shown of a log. */
async function logFacts(wal: SegmentedWal) {
  const { recovery } = wal;
  return {
    directory: wal.directory,
    firstLsn: wal.firstLsn,
    lastLsn: wal.lastLsn,
    provenDurableLsn: wal.durableLsn,
    records: recovery.records,
    sizeBytes: wal.totalSizeBytes(),
    state: recovery.reason,
    cutBytes: recovery.cutBytes,
    checkpointLsn: wal.checkpointLsn,
    holds: wal.holds,
    holes: recovery.holes,
    followers: await wal.followers(),
    segments: wal.listSegments(),
  };
}

type LogFacts = Awaited<ReturnType<typeof logFacts>> & { readonly end?: LogEnd };

const SEGMENT_COLUMNS: readonly Column[] = [
  ['segment', 'right'],
  ['first LSN', 'right'],
  ['last LSN', 'right'],
  ['size', 'right'],
  ['key', 'right'],
  ['age', 'right'],
  ['created'],
];

const FOLLOWER_COLUMNS: readonly Column[] = [
  ['follower'],
  ['state'],
  ['next LSN', 'right'],
  ['lag', 'right'],
  ['bytes', 'right'],
  ['last seen', 'right'],
  ['alive'],
];

const STATES: Readonly<Record<string, string>> = {
  clean: 'closed cleanly',
  unclosed: 'open in another process, or not closed cleanly',
};

async function showLog(facts: LogFacts, more: readonly (readonly [string, string])[], context: Context): Promise<void> {
  const { out, paint } = context;
  const ending =
    facts.end === undefined ? '' : `${countText(facts.cutBytes, 'byte')} at its end are ${logEndText(facts.end)}`;
  const cut = facts.end === undefined || facts.end === 'being-written' ? '' : '; opening it would cut them';
  const holds = Object.entries(facts.holds).map(([name, lsn]) => `${name} from ${numberText(lsn)}`);
  const fields = [
    ['records', `${numberText(facts.records)}, ${lsnText(facts.firstLsn, facts.lastLsn)}`],
    ['durable', `proven up to LSN ${facts.provenDurableLsn}`],
    ['size', `${bytesText(facts.sizeBytes)} in ${countText(facts.segments.length, 'segment')}`],
    ['state', ending === '' ? (STATES[facts.state] ?? facts.state) : `${ending}${cut}`],
    ['checkpoint', facts.checkpointLsn === 0 ? 'none' : `LSN ${facts.checkpointLsn}`],
    ['holds', holds.join(', ') || 'none'],
    ...facts.holes.map(
      ({ firstLsn, lastLsn, reason }) => ['hole', `LSN ${firstLsn} to ${lastLsn}, ${reason}`] as const,
    ),
    ...more,
  ] as const;
  await out.line(paint('bold', facts.directory));
  for (const line of fieldLines(fields)) await out.line(`  ${line}`);
  await out.line();
  await tableOf(SEGMENT_COLUMNS, facts.segments.map(segmentRow), context);
  if (facts.followers.length === 0) return;
  await out.line();
  await tableOf(FOLLOWER_COLUMNS, facts.followers.map(followerRow), context);
}

async function tableOf(columns: readonly Column[], rows: readonly string[][], { out, paint }: Context): Promise<void> {
  const [head, ...lines] = tableLines(columns, rows);
  await out.line(`  ${paint('dim', head as string)}`);
  for (const line of lines) await out.line(`  ${line}`);
}

const segmentRow = (segment: SegmentMeta): string[] => [
  String(segment.number),
  String(segment.firstLsn),
  segment.lastLsn === undefined ? '–' : String(segment.lastLsn),
  bytesText(segment.sizeBytes),
  segment.keyId === 0 ? '–' : String(segment.keyId),
  ageText(Math.max(0, Date.now() - segment.createdAtMs)),
  timeText(segment.createdAtMs),
];

const followerRow = (follower: FollowerStats): string[] => [
  follower.name ?? '',
  follower.reason === undefined ? follower.state : `${follower.state} (${follower.reason})`,
  follower.lsn === undefined ? '?' : String(follower.lsn),
  numberText(follower.lagRecords),
  bytesText(follower.lagBytes),
  follower.ageMs === undefined ? '?' : ageText(follower.ageMs),
  follower.alive === undefined ? '?' : follower.alive ? 'yes' : 'no',
];

/** The segment of a log with a number. */
function segmentOf(wal: SegmentedWal, wanted: (segment: SegmentMeta) => boolean, what: string): SegmentMeta {
  const found = wal.listSegments().find(wanted);
  if (found !== undefined) return found;
  throw new UsageError(`${wal.directory} has no ${what}: it has LSN ${wal.firstLsn} to ${wal.lastLsn}`);
}

async function showSegment(
  wal: SegmentedWal,
  number: number,
  { json }: InspectOptions,
  context: Context,
): Promise<void> {
  const { out, paint } = context;
  const { path } = segmentOf(wal, (each) => each.number === number, `segment ${number}`);
  const segment = readSegment(path);
  const { header, bytes } = segment;
  const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');
  const { predecessor } = header;
  const shown = {
    path,
    number: header.number,
    firstLsn: header.firstLsn,
    logId: hex(header.logId),
    segmentId: hex(header.segmentId),
    created: timeText(header.createdAtMs),
    blockBytes: header.blockBytes,
    firstPosition: header.firstPosition,
    predecessor: predecessor === undefined ? null : { number: predecessor.number, id: hex(predecessor.id) },
    encrypted: header.encrypted,
    keyId: header.keyId,
    encryptedFrom: header.encryptedFrom,
    salvaged: header.salvaged,
    coreId: header.coreId ?? null,
  };
  if (json) {
    const frames: unknown[] = [];
    const end = walkFrames(segment, (offset) => frames.push(frameAt(bytes, offset)));
    await out.json({ ...shown, frames, end, fileBytes: bytes.length });
    return;
  }
  await out.line(paint('bold', path));
  const text = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value));
  for (const line of fieldLines(
    Object.entries(shown)
      .slice(1)
      .map(([name, value]) => [name, text(value)]),
  )) {
    await out.line(`  ${line}`);
  }
  for (const line of hexLines(bytes.subarray(0, 128))) await out.line(`  ${paint('dim', line)}`);
  await out.line();
  const rows: string[][] = [];
  const end = walkFrames(segment, (offset) => {
    const frame = frameAt(bytes, offset);
    const type = frame.kind === 'mark' ? markName(frame.type) : String(frame.type);
    const proven = frame.provenLsn === 0 ? '–' : String(frame.provenLsn);
    rows.push([
      String(offset),
      String(frame.bytes),
      frame.kind,
      String(frame.lsn),
      type,
      proven,
      frame.flags.join(' '),
    ]);
  });
  await tableOf(
    [
      ['offset', 'right'],
      ['bytes', 'right'],
      ['kind'],
      ['LSN', 'right'],
      ['type', 'right'],
      ['proves', 'right'],
      ['flags'],
    ],
    rows,
    context,
  );
  await out.line(`  ${String(end)}  end of the frames; the file has ${countText(bytes.length, 'byte')}`);
}

async function showRecord(wal: SegmentedWal, lsn: number, options: InspectOptions, context: Context): Promise<void> {
  const { out, paint } = context;
  const isThere = (segment: SegmentMeta): boolean =>
    segment.firstLsn <= lsn && segment.lastLsn !== undefined && lsn <= segment.lastLsn;
  const { path } = segmentOf(wal, isThere, `record with LSN ${lsn}`);
  const segment = readSegment(path);
  const { bytes, header } = segment;
  let at = -1;
  walkFrames(segment, (offset) => {
    const frame = frameAt(bytes, offset);
    if (frame.kind === 'record' && frame.lsn === lsn) at = offset;
  });
  if (at < 0) throw new UsageError(`the record with LSN ${lsn} is lost: it is in a hole of ${wal.directory}`);
  const record = await wal.read(lsn);
  const payload = record?.payload ?? new Uint8Array();
  const frame = frameAt(bytes, at);
  if (options.json) {
    const parts = partsOf(bytes, at).map((part) => ({ ...part, bytes: Buffer.from(part.bytes).toString('hex') }));
    await out.json({ path, ...frame, parts, payload: Buffer.from(payload).toString('hex') });
    return;
  }
  await out.line(`${paint('bold', path)}, offset ${at}`);
  for (const part of partsOf(bytes, at)) {
    const isLong = part.bytes.length > 8;
    const digits = isLong ? countText(part.bytes.length, 'byte') : Buffer.from(part.bytes).toString('hex');
    await out.line(`  ${part.name.padEnd(12)}  ${digits.padEnd(16)}  ${part.value}`.trimEnd());
    if (isLong) for (const line of hexLines(part.bytes, part.offset)) await out.line(`    ${paint('dim', line)}`);
  }
  await out.line(`  appended      ${timeText(header.createdAtMs + frame.elapsedMs)}`);
  if (!frame.flags.includes('encrypted') && !frame.flags.includes('compressed')) return;
  await out.line('  payload as it was appended');
  for (const line of hexLines(payload)) await out.line(`    ${paint('dim', line)}`);
}

async function showFrames({ path }: FramesTarget, options: InspectOptions, { out }: Context): Promise<void> {
  let frames = 0;
  let bytes = 0;
  let end = 0;
  for await (const { data, position } of readFrames(path, { ...framesOf(options), copy: false })) {
    frames++;
    bytes += data.length;
    end = position + data.length + 8;
  }
  if (options.json) await out.json({ path, frames, dataBytes: bytes, end });
  else await out.line(`${path}: ${countText(frames, 'frame')} with ${countText(bytes, 'byte')}, up to offset ${end}`);
}
