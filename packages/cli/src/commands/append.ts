import { PortableWalWriter } from '@walstack/storage-io';
import { type Command, Option } from 'commander';
import type { Context } from '../context.js';
import { interruptedCode } from '../context.js';
import { ExitCode, UsageError } from '../exit-codes.js';
import {
  type FramesOptions,
  framesOf,
  integer,
  payloadBytesOf,
  type ReadLogOptions,
  withFramesOptions,
  withLogOptions,
} from '../log/options.js';
import { base64Of, hexOf, jsonOf } from '../output/decoded.js';
import { linesOf } from '../output/lines.js';
import { countText } from '../output/units.js';
import { type Commit, CommitWindow } from '../write/commit-window.js';
import { committedFrame } from '../write/frames.js';
import { withWritable, writableTarget } from '../write/open-for-writing.js';

type LineEncoding = 'utf8' | 'json' | 'base64' | 'hex';

interface AppendOptions extends ReadLogOptions, FramesOptions {
  readonly type?: number;
  readonly encoding: LineEncoding;
  readonly create?: boolean;
}

/** Adds `walstack append`. */
export function appendCommand(program: Command, context: Context): void {
  withFramesOptions(withLogOptions(program.command('append')))
    .summary('the lines of standard input as records')
    .description(
      'Appends each line of standard input as a record, and prints its LSN once it is durable. Lines that wait at the same time share one write and one sync. Opens the log for writing, as the program does that owns it.',
    )
    .argument('<log>', 'a directory with a log, or a file of frames')
    .addOption(
      new Option('--type <number>', 'the type of the records; 0 unless set').argParser(integer(0, 0xffff_ffff)),
    )
    .addOption(
      new Option('--encoding <encoding>', 'what a line is: utf8 as it is, json as it is and checked, base64, hex')
        .choices(['utf8', 'json', 'base64', 'hex'])
        .default('utf8'),
    )
    .option('--create', 'make a log where there is none')
    .addHelpText('after', EXAMPLES)
    .action((log: string, options: AppendOptions) => append(log, options, context));
}

const EXAMPLES = `
Examples:
  echo 'order 17 paid' | walstack append data/events --create
  tail -F access.log | walstack append data/access --type 3
  walstack append data/events --encoding base64 --json < payloads`;

/** So many bytes of a line are at most one byte of a payload. */
const BYTES_PER_BYTE: Readonly<Record<LineEncoding, number>> = { utf8: 1, json: 1, base64: 1.5, hex: 2 };

/** What base64 pads, and room for the message to name a payload that is only a little too long. */
const PADDING_BYTES = 4096;

const DECODERS: Readonly<Record<LineEncoding, (line: Buffer) => Uint8Array>> = {
  utf8: (line) => line,
  json: jsonOf,
  base64: (line) => base64Of(line.toString('latin1')),
  hex: (line) => hexOf(line.toString('latin1')),
};

async function append(log: string, options: AppendOptions, context: Context): Promise<void> {
  const { type, create = false } = options;
  if (options.core !== undefined) throw new UsageError('--core has no meaning for append');
  const target = writableTarget(log, create);
  if (target.kind === 'log') {
    const typed = type === undefined ? {} : { type };
    await withWritable(target.directory, options, context, { create }, (wal) =>
      appendLines('lsn', (payload) => wal.commit(payload, typed), options, context),
    );
    return;
  }
  if (type !== undefined) throw new UsageError(`${target.path} is a file of frames, which have no type`);
  const writer = await PortableWalWriter.open(target.path, { framed: true, create: false, ...framesOf(options) });
  try {
    await appendLines('position', (payload) => committedFrame(writer, payload), options, context);
  } finally {
    await writer.close();
  }
}

async function appendLines(
  placeName: 'lsn' | 'position',
  commit: Commit<Uint8Array>,
  options: AppendOptions,
  context: Context,
): Promise<void> {
  const { out, signal, stdin } = context;
  const decode = DECODERS[options.encoding];
  const lineBytesMax = Math.ceil(payloadBytesOf(options) * BYTES_PER_BYTE[options.encoding]) + PADDING_BYTES;
  const failed = new AbortController();
  const window = new CommitWindow(
    commit,
    (place) => (options.json ? out.json({ [placeName]: place }) : out.line(String(place))),
    () => out.flush(),
    failed,
  );
  const lines = linesOf(stdin, AbortSignal.any([signal, failed.signal]), lineBytesMax);
  let line = 0;
  let next: IteratorResult<Buffer, boolean>;
  try {
    for (next = await lines.next(); next.done !== true; next = await lines.next()) {
      line++;
      const payload = decoded(next.value, line, decode);
      await window.add(payload, payload.length);
    }
  } finally {
    await window.settle();
  }
  // With all lines appended, nothing is missing but the rest of the output.
  if (!signal.aborted || (out.isClosed && next.value)) return;
  context.exitCode = out.isClosed ? ExitCode.failed : interruptedCode(context);
  if (out.isClosed) {
    context.err.write(
      `nothing reads the LSNs any more: the first ${countText(line, 'line')} are appended, and no more were\n`,
    );
  }
}

function decoded(bytes: Buffer, line: number, decode: (line: Buffer) => Uint8Array): Uint8Array {
  try {
    return decode(bytes);
  } catch (error) {
    throw new Error(`line ${line}: ${(error as Error).message}; the lines before it are appended`, { cause: error });
  }
}
