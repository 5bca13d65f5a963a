import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('lock-child.mjs', import.meta.url));

/** With the addon's help or without; `like this`: as the process that runs the test. */
export type Kind = 'with addon' | 'without addon' | 'like this';

export function environmentOf(kind: Kind): NodeJS.ProcessEnv {
  if (kind === 'like this') return process.env;
  return { ...process.env, WALSTACK_NATIVE: kind === 'with addon' ? '' : '0' };
}

/** What a child says. */
export interface Told {
  locked?: boolean;
  released?: boolean;
  pid: number;
  code?: string;
  holder?: string;
  reason?: string;
  message?: string;
}

/** A process that has tried to lock a path, and does what it is told. */
export class LockingProcess {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.process = child;
    started.add(this);
    if (child.stdout === null) throw new Error('no output to read');
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** @param wrapper - a command that starts it */
  static start(path: string, kind: Kind = 'like this', wrapper: readonly string[] = []): LockingProcess {
    const [command = process.execPath, ...args] = [...wrapper, process.execPath, CHILD, path];
    return new LockingProcess(spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: environmentOf(kind) }));
  }

  /** What it says next. */
  async told(): Promise<Told> {
    const { value } = await this.#lines.next();
    return JSON.parse(value);
  }

  say(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  /** Ends it by a signal that it cannot notice. */
  async killed(): Promise<void> {
    started.delete(this);
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await gone;
  }

  /** Has it end by itself, without releasing anything. */
  async exited(): Promise<void> {
    started.delete(this);
    const gone = once(this.process, 'exit');
    this.say('exit');
    await gone;
  }
}

const started = new Set<LockingProcess>();

/** Kills every process of a test that is left. */
export async function killAll(): Promise<void> {
  for (const each of [...started]) await each.killed();
}
