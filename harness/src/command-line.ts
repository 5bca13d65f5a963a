import { parseArgs } from 'node:util';

/** What is wrong with the command line, in words for the user. */
class UsageError extends Error {}

/**
 * The options of a command.
 *
 * @param names - of options with a value
 * @param flags - names of options without one, beside `--help`
 * @throws {UsageError}
 */
export function parseOptions<Name extends string, Flag extends string = never>(
  argv: readonly string[],
  names: readonly Name[],
  flags: readonly Flag[] = [],
): Partial<Record<Name, string>> & Partial<Record<Flag | 'help', boolean>> {
  const withValue = names.map((name) => [name, { type: 'string' }] as const);
  const without = flags.map((name) => [name, { type: 'boolean' }] as const);
  const options = { ...Object.fromEntries([...withValue, ...without]), help: { type: 'boolean', short: 'h' } } as const;
  try {
    const { values } = parseArgs({ args: [...argv], options });
    // parseArgs gives no more than it was asked for, and says so only for literal names.
    return values as Partial<Record<Name, string>> & Partial<Record<Flag | 'help', boolean>>;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** A number from the command line. @throws {UsageError} */
export function numberOf(name: string, text: string, minimum: number, maximum = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= minimum && value <= maximum) return value;
  throw new UsageError(`--${name} must be a number from ${minimum} to ${maximum}, not "${text}"`);
}

/** A whole number from the command line. @throws {UsageError} */
export function integerOf(name: string, text: string, minimum: number, maximum?: number): number {
  const value = numberOf(name, text, minimum, maximum);
  if (Number.isInteger(value)) return value;
  throw new UsageError(`--${name} must be a whole number, not "${text}"`);
}

/** One of several words from the command line. @throws {UsageError} */
export function wordOf<Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  throw new UsageError(`--${name} must be one of ${words.join(', ')}, not "${text}"`);
}

/** Seeds that are short enough to be typed. */
const SEED_MAX = 0xffff_ffff;

/** A seed that was given, or a fresh one. @throws {UsageError} */
export function seedOf(text: string | undefined): number {
  return text === undefined ? Math.floor(Math.random() * SEED_MAX) : integerOf('seed', text, 0, SEED_MAX);
}

/** Runs a command: says what was wrong with its arguments, and sets the exit code. */
export async function runCommand(help: string, command: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await command();
  } catch (error) {
    if (error instanceof UsageError) console.error(`${error.message}\n\n${help}`);
    else console.error(error);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
