import { spawn } from 'node:child_process';
import process from 'node:process';

/** How a program ended. */
export interface Ending {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** It printed nothing for so long that it was killed. */
  readonly hangs: boolean;
}

/**
 * Runs a program with Node.js, and kills it with all that it has started when it prints nothing for too long: a defect may
 * make it wait or loop for ever.
 */
export function runWatched(
  args: readonly string[],
  { env, cwd, silenceMs }: { readonly env: NodeJS.ProcessEnv; readonly cwd: string; readonly silenceMs: number },
): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env, cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const printed = { stdout: '', stderr: '' };
    let hangs = false;
    const kill = (): void => {
      hangs = true;
      killGroup(child.pid);
    };
    let timer = setTimeout(kill, silenceMs);
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        printed[name] += text;
        clearTimeout(timer);
        if (!hangs) timer = setTimeout(kill, silenceMs);
      });
    }
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      // Workers of a runner that was stopped may go on.
      killGroup(child.pid);
      resolve({ status, ...printed, hangs });
    });
  });
}

/** Kills a process that was started detached, with all that it has started. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}
