import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { killGroup } from '../run-watched.js';
import type { TestsReply, TestsRequest, TestsSetup } from './protocol.js';

/** What a file of tests came to, or that it did not end in time. */
export type TestsEnding = (TestsReply & { readonly hangs: false }) | { readonly hangs: true };

/** Runs files of tests with all packages from source, in a process that it starts again when it had to be killed. */
export class TestRunner {
  readonly #setup: TestsSetup;
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;

  constructor(setup: TestsSetup, env: NodeJS.ProcessEnv) {
    this.#setup = setup;
    this.#env = env;
  }

  /** Runs a file. After the limit it is killed, with all that it has started. */
  async run(request: TestsRequest, limitMs: number): Promise<TestsEnding> {
    const child = await this.#started();
    let hangs = false;
    const timer = setTimeout(() => {
      hangs = true;
      this.close();
    }, limitMs);
    try {
      const replied = messageOf(child);
      child.send(request);
      const reply = (await replied) as TestsReply | undefined;
      if (reply !== undefined) return { ...reply, hangs: false };
      this.close();
      if (hangs) return { hangs };
      return { ran: 0, failed: [`${request.file}: the process that runs it ends`], hangs };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the process, with all that it has started. */
  close(): void {
    killGroup(this.#child?.pid);
    this.#child = undefined;
  }

  async #started(): Promise<ChildProcess> {
    if (this.#child?.connected === true) return this.#child;
    const program = join(import.meta.dirname, 'mutants-tests.js');
    const child = fork(program, [JSON.stringify(this.#setup)], {
      env: this.#env,
      cwd: this.#setup.root,
      detached: true,
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child = child;
    let printed = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-4000);
    });
    if ((await messageOf(child)) !== undefined) return child;
    this.#child = undefined;
    throw new Error(`the process that runs tests does not start: ${printed}`);
  }
}

/** The next message of a process; `undefined` when it ends without one. */
async function messageOf(child: ChildProcess): Promise<unknown> {
  const answered = new AbortController();
  const { signal } = answered;
  const messages = once(child, 'message', { signal }).then(([message]) => message as unknown);
  const ended = once(child, 'exit', { signal }).then(() => undefined);
  const both = Promise.allSettled([messages, ended]);
  try {
    return await Promise.race([messages, ended]);
  } finally {
    // Whichever did not come is not waited for any longer.
    answered.abort();
    await both;
  }
}
