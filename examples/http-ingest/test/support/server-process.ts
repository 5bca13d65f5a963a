import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** The server in a process of its own, on a free port. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly url: string;
  /** What it prints behind its address. */
  readonly lines: readonly string[];

  private constructor(child: ChildProcess, url: string, lines: readonly string[]) {
    this.#child = child;
    this.url = url;
    this.lines = lines;
  }

  static async start(directory: string): Promise<ServerProcess> {
    const child = spawn(process.execPath, [program, '--port', '0', '--data', directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    const reading = createInterface({ input: child.stdout });
    const [first] = (await Promise.race([once(reading, 'line'), once(child, 'exit')])) as [unknown];
    const url = /http:\S+(?=,)/.exec(`${first}`)?.[0];
    if (url === undefined) throw new Error(`the server did not start: ${first}`);
    reading.on('line', (line) => lines.push(line));
    return new ServerProcess(child, url, lines);
  }

  /** Sends a signal, and waits until the process has ended. @returns its exit code and signal */
  async end(signal: NodeJS.Signals): Promise<[code: number | null, signal: NodeJS.Signals | null]> {
    const ended = once(this.#child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    this.#child.kill(signal);
    return await ended;
  }
}
