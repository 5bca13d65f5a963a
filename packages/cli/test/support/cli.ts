import { Readable, Writable } from 'node:stream';
import { run } from '@walstack/cli';

/** What a run of the command line has written and returned. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A stream that gathers text. */
class Gathered extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** Settings of a run. */
export interface RunSettings {
  readonly input?: string | Readable;
  readonly env?: Record<string, string>;
  readonly isTTY?: boolean;
  readonly signal?: AbortSignal;
  /** Called with all output whenever there is more of it. */
  readonly onOutput?: (text: string) => void;
}

/** Runs the command line in this process. */
export async function cli(argv: readonly string[], settings: RunSettings = {}): Promise<Outcome> {
  const { input = '', env = {}, isTTY = false, signal, onOutput } = settings;
  const stdout = Object.assign(new Gathered(), { isTTY });
  const stderr = Object.assign(new Gathered(), { isTTY });
  if (onOutput !== undefined) stdout.on('drain', () => {});
  const write = stdout._write.bind(stdout);
  stdout._write = (chunk, encoding, done) => {
    write(chunk, encoding, done);
    onOutput?.(stdout.text);
  };
  const stdin = typeof input === 'string' ? Readable.from(input === '' ? [] : [Buffer.from(input)]) : input;
  const code = await run(argv, { stdout, stderr, stdin, env, ...(signal === undefined ? {} : { signal }) });
  return { code, out: stdout.text, err: stderr.text };
}

/** The output as JSON. */
export const json = ({ out }: Outcome) => JSON.parse(out);
/** Each line of the output as JSON. */
export const jsonLines = ({ out }: Outcome) =>
  out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
