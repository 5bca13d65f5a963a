import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { WalError } from '@walstack/codec';
import { PortableWalWriter, readFrames } from '@walstack/storage-io';
import { type Command, Option } from 'commander';
import type { Context } from '../context.js';
import { interruptedCode } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { withReadonly } from '../log/open-log.js';
import {
  type FramesOptions,
  framesOf,
  integer,
  payloadBytesOf,
  type ReadLogOptions,
  withFramesOptions,
  withLogOptions,
} from '../log/options.js';
import { typesOption } from '../log/selection.js';
import type { FramesTarget, LogTarget } from '../log/target.js';
import { linesOf } from '../output/lines.js';
import { countText } from '../output/units.js';
import { type Commit, CommitWindow } from '../write/commit-window.js';
import { committedFrame } from '../write/frames.js';
import { withWritable, writableTarget } from '../write/open-for-writing.js';
import { type ImportedRecord, recordOf } from '../write/record-lines.js';
import { StoredRecords } from '../write/stored-records.js';

interface ImportOptions extends ReadLogOptions, FramesOptions {
  readonly from?: number;
  readonly to?: number;
  readonly type?: readonly number[];
  readonly skipLines: number;
  readonly keepLsns?: boolean;
  readonly create?: boolean;
}

/** Adds `walstack import`. */
export function importCommand(program: Command, context: Context): void {
  withFramesOptions(withLogOptions(program.command('import')))
    .summary('appends the lines of JSON that export writes')
    .description(
      'Appends the records of a file that walstack export has written, durably. They get new LSNs and a new time, or with --keep-lsns the LSNs that they had: then what the log has already is left out, so that an import that was killed is repeated as it was.',
    )
    .argument('<log>', 'a directory with a log, or a file of frames')
    .argument('[file]', 'the lines; standard input unless given')
    .addOption(new Option('--from <lsn>', 'only lines with this LSN or a later one').argParser(integer(1)))
    .addOption(new Option('--to <lsn>', 'only lines with this LSN or an earlier one').argParser(integer(1)))
    .addOption(typesOption())
    .addOption(
      new Option('--skip-lines <count>', 'leave out so many lines at the beginning').argParser(integer(0)).default(0),
    )
    .option('--keep-lsns', 'records get the LSNs that they had, and those that the log has are left out')
    .option('--create', 'make a log where there is none')
    .addHelpText('after', EXAMPLES)
    .action((log: string, file: string | undefined, options: ImportOptions) => importInto(log, file, options, context));
}

const EXAMPLES = `
Examples:
  walstack import data/copy events.ndjson --create --keep-lsns
  walstack export data/events --type 7 | walstack import data/other`;

/** A line that is to be imported. */
interface ImportedLine extends ImportedRecord {
  readonly line: number;
}

async function importInto(
  log: string,
  file: string | undefined,
  options: ImportOptions,
  context: Context,
): Promise<void> {
  if (options.core !== undefined) throw new UsageError('--core has no meaning for import');
  const target = writableTarget(log, options.create ?? false);
  const isFrames = target.kind === 'frames';
  if (isFrames && options.keepLsns) throw new UsageError(`${target.path} is a file of frames, which have no LSN`);
  const source: Readable = file === undefined ? context.stdin : createReadStream(file);
  const failed = new AbortController();
  const lines = new ImportedLines(source, options, AbortSignal.any([context.signal, failed.signal]), isFrames);
  const first = await lines.next();
  const run = new Import(lines, first, options, context, failed);
  try {
    // Nothing is opened, and no log is made, where there is nothing to import.
    if (first !== undefined) {
      if (isFrames) await importFrames(target.path, run, options);
      else await importRecords(target.directory, run, first, options, context);
    }
    if (context.signal.aborted) context.exitCode = interruptedCode(context);
    await run.report(context.signal.aborted);
  } catch (error) {
    await countStored(target, run, options, context);
    await run.report(true);
    throw error;
  } finally {
    if (file !== undefined) source.destroy();
  }
}

async function importRecords(
  directory: string,
  run: Import,
  first: ImportedLine,
  options: ImportOptions,
  context: Context,
): Promise<void> {
  const { keepLsns, create = false } = options;
  const firstLsn = keepLsns ? { firstLsn: lsnOf(first) } : {};
  await withWritable(directory, options, context, { create, ...firstLsn }, async (wal) => {
    const stored = new StoredRecords(wal, options, context);
    if (keepLsns) run.goOn(wal.lastLsn + 1, stored);
    run.before = wal.lastLsn;
    try {
      await run.all(({ payload, options: more }) => wal.commit(payload, more));
    } finally {
      await stored.close();
    }
  });
}

async function importFrames(path: string, run: Import, options: ImportOptions): Promise<void> {
  const writer = await PortableWalWriter.open(path, { framed: true, create: false, ...framesOf(options) });
  try {
    run.before = framesIn(path, options);
    await run.all(({ payload }) => committedFrame(writer, payload));
  } finally {
    await writer.close();
  }
}

/** What was handed over and not acknowledged may be stored, too: how much of it is. */
async function countStored(
  target: LogTarget | FramesTarget,
  run: Import,
  options: ImportOptions,
  context: Context,
): Promise<void> {
  if (run.before === undefined || run.open === 0) return;
  try {
    if (target.kind === 'frames') return run.stored(framesIn(target.path, options) - run.before);
    // Where it was interrupted, it is looked at all the same.
    const looking = { ...context, signal: new AbortController().signal };
    const { before } = run;
    await withReadonly(target, options, looking, ({ lastLsn }) => run.stored(lastLsn - before, lastLsn));
  } catch {
    // What is said then is that it is not known.
  }
}

/** The number of frames of a file, up to one that cannot be read. */
function framesIn(path: string, options: FramesOptions): number {
  let count = 0;
  try {
    for (const _frame of readFrames(path, { ...framesOf(options), copy: false })) count++;
  } catch (error) {
    if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
  }
  return count;
}

function lsnOf({ lsn, line }: ImportedLine): number {
  if (lsn === undefined) throw new Error(`line ${line} has no lsn, which --keep-lsns needs`);
  return lsn;
}

/** A byte of a payload takes at most so many in JSON, as an escape. */
const BYTES_PER_BYTE = 6;

/** More than the other fields of a line take. */
const OTHER_BYTES = 1024 * 1024;

/** The lines that are to be imported. */
class ImportedLines {
  readonly #lines: AsyncGenerator<Buffer, boolean>;
  readonly #options: ImportOptions;
  /** Whether they are for a file of frames, which has positions and no LSNs. */
  readonly isFrames: boolean;
  /** The number of the line that was read last. */
  line = 0;

  constructor(source: Readable, options: ImportOptions, signal: AbortSignal, isFrames: boolean) {
    this.#lines = linesOf(source, signal, payloadBytesOf(options) * BYTES_PER_BYTE + OTHER_BYTES);
    this.#options = options;
    this.isFrames = isFrames;
  }

  /** @throws `Error` with the number of a line that is no record */
  async next(): Promise<ImportedLine | undefined> {
    for (;;) {
      const { done, value } = await this.#lines.next();
      if (done === true) return undefined;
      const line = this.line + 1;
      if (line > this.#options.skipLines && value.length > 0) {
        const record = this.#read(value, line);
        this.line = line;
        if (this.#isWanted(record)) return { ...record, line };
      }
      this.line = line;
    }
  }

  #read(bytes: Buffer, line: number): ImportedRecord {
    try {
      const record = recordOf(bytes);
      const { type = 0, meta, tenantId } = record.options;
      if (this.isFrames && (type !== 0 || meta !== undefined || tenantId !== undefined)) {
        throw new Error('it has a type, meta or scope, which a frame does not hold');
      }
      return record;
    } catch (error) {
      throw new Error(`line ${line}: ${(error as Error).message}`, { cause: error });
    }
  }

  #isWanted({ lsn, options: { type: own = 0 } }: ImportedRecord): boolean {
    const { from, to, type } = this.#options;
    if ((from !== undefined || to !== undefined) && lsn === undefined) return false;
    if (from !== undefined && (lsn as number) < from) return false;
    if (to !== undefined && (lsn as number) > to) return false;
    return type === undefined || type.includes(own);
  }
}

/** One import, and how far it is. */
class Import {
  readonly #lines: ImportedLines;
  readonly #first: ImportedLine | undefined;
  readonly #options: ImportOptions;
  readonly #context: Context;
  /** With `--keep-lsns`, the LSN that the next record gets, and what the log has before it. */
  #nextLsn: number | undefined;
  #stored: StoredRecords | undefined;
  /** The last LSN of the log, or the number of frames, before the first record was appended; `undefined` until it was opened. */
  before: number | undefined;
  readonly #failed: AbortController;
  /** The lines that were handed over and are not acknowledged, in order. */
  readonly #handedOver: number[] = [];
  #records = 0;
  #leftOut = 0;
  #lost = 0;
  /** Everything up to this line is imported, or was not chosen. */
  #doneLine: number;
  #places: { first: number; last: number } | undefined;

  constructor(
    lines: ImportedLines,
    first: ImportedLine | undefined,
    options: ImportOptions,
    context: Context,
    failed: AbortController,
  ) {
    this.#failed = failed;
    this.#lines = lines;
    this.#first = first;
    this.#options = options;
    this.#context = context;
    this.#doneLine = first === undefined ? lines.line : first.line - 1;
  }

  async all(commit: Commit<ImportedLine>): Promise<void> {
    const window = new CommitWindow(
      commit,
      (place, record) => this.#acknowledged(place, record),
      async () => {},
      this.#failed,
    );
    try {
      for (let record = this.#first; record !== undefined; record = await this.#lines.next()) {
        if (await this.#isThere(record, window)) continue;
        const { payload, options, line } = record;
        this.#handedOver.push(line);
        await window.add(record, payload.length + (options.meta?.length ?? 0));
      }
    } finally {
      await window.settle();
    }
    this.#doneLine = this.#lines.line;
  }

  /** With `--keep-lsns`: records get LSNs from the next one of the log on, and earlier ones have to be what is stored. */
  goOn(nextLsn: number, stored: StoredRecords): void {
    this.#nextLsn = nextLsn;
    this.#stored = stored;
  }

  /** Whether the log has a record already. @throws `Error` where it has another one, or records before it are missing */
  async #isThere(record: ImportedLine, window: CommitWindow<ImportedLine>): Promise<boolean> {
    if (this.#nextLsn === undefined || this.#stored === undefined) return false;
    const lsn = lsnOf(record);
    if (lsn < this.#nextLsn) {
      // One that this import itself appends is compared when it is stored.
      if (lsn > (this.before as number)) await window.acknowledged();
      const found = await this.#stored.compare(lsn, record);
      if (found === 'different') {
        throw new Error(
          `line ${record.line} has LSN ${lsn}, and the log has another record there: it is another log's`,
        );
      }
      if (found === 'lost') this.#lost++;
      else this.#leftOut++;
      return true;
    }
    if (lsn > this.#nextLsn) {
      throw new Error(
        `line ${record.line} has LSN ${lsn}, and the next one of the log is ${this.#nextLsn}: with --keep-lsns no LSN may be missing`,
      );
    }
    this.#nextLsn++;
    return false;
  }

  /** How many records were handed over and are not acknowledged. */
  get open(): number {
    return this.#handedOver.length;
  }

  /** So many records of this import are stored, of a log up to an LSN. */
  stored(count: number, lastLsn?: number): void {
    const more = Math.min(count - this.#records, this.#handedOver.length);
    for (const line of this.#handedOver.splice(0, Math.max(0, more))) {
      this.#records++;
      this.#doneLine = line;
    }
    this.#handedOver.length = 0;
    if (this.#places !== undefined && lastLsn !== undefined) this.#places.last = lastLsn;
  }

  #acknowledged(place: number, { line, lsn }: ImportedLine): undefined {
    if (this.#options.keepLsns && place !== lsn) {
      throw new Error(`line ${line} has LSN ${lsn}, and was stored as LSN ${place}: something else appends to the log`);
    }
    this.#handedOver.shift();
    this.#records++;
    this.#doneLine = line;
    this.#places = { first: this.#places?.first ?? place, last: place };
  }

  /** Prints how far it is, and where to go on. */
  async report(isUnfinished: boolean): Promise<void> {
    const { out, err } = this.#context;
    const lines = this.#doneLine;
    if (this.#options.json) {
      await out.json({
        records: this.#records,
        leftOut: this.#leftOut,
        lost: this.#lost,
        lines,
        ...this.#placesJson(),
      });
    } else {
      const there = `${countText(this.#leftOut, 'record')} ${this.#leftOut === 1 ? 'was' : 'were'} there already`;
      const done = `${countText(this.#records, 'record')} imported${this.#placesText()}`;
      await out.line(this.#leftOut === 0 ? done : `${done}; ${there}`);
    }
    if (this.#lost > 0) {
      err.write(`lost in the log by a salvage, and not put back: ${countText(this.#lost, 'record')}\n`);
    }
    if (!isUnfinished) return;
    if (this.open > 0 && !this.#options.keepLsns) {
      err.write(
        `the lines up to ${lines} are done, and up to ${this.open} behind them may be: look before you go on\n`,
      );
      return;
    }
    const how = this.#options.keepLsns ? 'with the same command' : `with --skip-lines ${lines}`;
    err.write(`the lines up to ${lines} are done: go on ${how}\n`);
  }

  #placesText(): string {
    if (this.#places === undefined) return '';
    const { first, last } = this.#places;
    return this.#lines.isFrames ? `, at position ${first} to ${last}` : `, as LSN ${first} to ${last}`;
  }

  #placesJson(): Record<string, number> {
    if (this.#places === undefined) return {};
    const { first, last } = this.#places;
    return this.#lines.isFrames ? { firstPosition: first, lastPosition: last } : { firstLsn: first, lastLsn: last };
  }
}
