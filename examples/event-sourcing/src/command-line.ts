/** A wrong command line. */
export class UsageError extends Error {}

/** Runs a program, and ends it with 2 for a wrong command line, behind which it prints the help, and with 1 for a failure. */
export async function runProgram(help: string, main: () => Promise<void>): Promise<void> {
  if (process.argv.slice(2).some((each) => each === '--help' || each === '-h')) {
    console.log(help);
    return;
  }
  try {
    await main();
  } catch (error) {
    console.error((error as Error).message);
    if (error instanceof UsageError) console.error(`\n${help}`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

/** What `parse` returns; its errors are of the command line. */
export function parsing<Parsed>(parse: () => Parsed): Parsed {
  try {
    return parse();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** The number that an option has as text. */
export function whole(name: string, text: string, min: number, max: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, not "${text}"`);
}
