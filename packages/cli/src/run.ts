import { readFileSync } from 'node:fs';
import { WalError } from '@walstack/codec';
import { Command, CommanderError } from 'commander';
import { type Context, interruptedCode, type Streams } from './context.js';
import { EXIT_CODE_HELP, ExitCode, exitCodeOf, UsageError } from './exit-codes.js';
import { errorJson } from './output/error-json.js';
import { Output, shown } from './output/output.js';
import { type Paint, paintFor } from './output/paint.js';
import { COMMANDS, type RegisterCommand } from './registry.js';

/**
 * Runs the command line, without reading or changing anything of the process: arguments and streams are passed.
 *
 * @param argv - the arguments, without the program's name
 * @param streams - what is read and written
 * @param more - further commands
 * @returns the exit code, when everything is written, or the signal has ended the command and its output is not read
 */
export async function run(
  argv: readonly string[],
  streams: Streams,
  more: readonly RegisterCommand[] = [],
): Promise<number> {
  const { stdout, stderr, stdin, env = {}, signal } = streams;
  const closed = new AbortController();
  // Remarks that nothing reads any more end no command, and change no exit code.
  stderr.removeListener('error', ignored).on('error', ignored);
  const out = new Output(stdout, closed, signal);
  const paint = paintFor(out.isTerminal, env);
  const signals = signal === undefined ? closed.signal : AbortSignal.any([closed.signal, signal]);
  const context: Context = { out, err: stderr, stdin, signal: signals, paint, exitCode: ExitCode.ok };
  const program = programOf(context, [...COMMANDS, ...more]);
  let code: number;
  try {
    await program.parseAsync(argv, { from: 'user' });
    code = context.exitCode;
  } catch (error) {
    code = report(error, context, argv.includes('--json'), paintFor(stderr.isTTY === true, env));
  }
  const isPassedOn = await out.end();
  if (out.failure !== undefined) return report(out.failure, context, false, paint);
  return isPassedOn ? code : ExitCode.interrupted;
}

const ignored = (): void => {};

/** The program with its commands. */
function programOf(context: Context, commands: readonly RegisterCommand[]): Command {
  const program = new Command('walstack')
    .description('Looks into write-ahead logs, verifies, explains and repairs them, and backs them up.')
    .version(version())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.out.write(text),
      writeErr: (text) => void context.err.write(text),
    })
    .showHelpAfterError('(--help shows the arguments)')
    .addHelpText('after', EXIT_CODE_HELP);
  // As of a variable of a shell that is not set. As a path it would be the present directory.
  program.hook('preAction', (_program, { args }) => {
    if (args.includes('')) throw new UsageError('an argument is empty');
  });
  for (const register of commands) register(program, context);
  finish(program, program.commands);
  return program;
}

function finish(program: Command, commands: readonly Command[]): void {
  for (const command of commands) {
    command.copyInheritedSettings(program).addHelpText('after', EXIT_CODE_HELP);
    finish(program, command.commands);
  }
}

const version = (): string => JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;

/** Reports what has ended a command, and returns its exit code. */
function report(error: unknown, context: Context, json: boolean, paint: Paint): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
  if (context.signal.aborted && isAbort(error)) return interruptedCode(context);
  if (json && WalError.is(error)) void context.out.json({ error: errorJson(error) });
  const name = WalError.is(error) ? error.code : error instanceof UsageError ? 'usage' : 'error';
  const message = shown(error instanceof Error ? error.message : String(error));
  context.err.write(`${paint('red', name)}: ${message}\n`);
  return exitCodeOf(error);
}

const isAbort = (error: unknown): boolean =>
  WalError.is(error, 'WAL_ABORTED') || WalError.is(error, 'WAL_CLOSED') || (error as Error)?.name === 'AbortError';
