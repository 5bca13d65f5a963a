import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { inPackage } from '../machine/folders.js';
import type { DurableLoop } from './durable-loop.js';

const SOURCE = inPackage('native', 'durable-loop.c');
const PROGRAM = inPackage('native', 'build', 'durable-loop');

type Printed = 'writes' | 'elapsedMs' | 'p50Us' | 'p99Us' | 'p999Us' | 'slow';

/**
 * The program of `native/durable-loop.c`, compiled when that was not done yet. It is called as
 * `durable-loop FILE DEPTH BYTES MILLISECONDS`, and prints `{"writes": n, "elapsedMs": n, "p50Us": n,
 * "p99Us": n, "p999Us": n, "slow": n}`.
 *
 * @returns a sentence where there is none
 */
export function nativeLoop(source = SOURCE, program = PROGRAM): DurableLoop | string {
  const missing = compiled(source, program);
  if (missing !== undefined) return `native-loop is left out: ${missing}`;
  return {
    name: 'native-loop',
    how: 'native/durable-loop.c: aligned direct writes with RWF_DSYNC through io_uring, into blocks that were written before',
    run: ({ path, depth, bytes, durationMs }) => {
      const { status, stdout, stderr } = spawnSync(program, [path, depth, bytes, durationMs].map(String), {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`native-loop failed: ${stderr}`);
      const result = JSON.parse(stdout) as Record<Printed, number>;
      const { writes, elapsedMs, ...latency } = result;
      return { writesPerSecond: (writes * 1000) / elapsedMs, ...latency };
    },
  };
}

/** Compiles the program where it is older than its source. @returns why there is none, in part of a sentence */
function compiled(source: string, program: string): string | undefined {
  if (!existsSync(source)) return `there is no ${source}`;
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return undefined;
  mkdirSync(dirname(program), { recursive: true });
  const { status, error, stderr } = spawnSync('cc', ['-O2', '-Wall', '-o', program, source], { encoding: 'utf8' });
  return status === 0 ? undefined : `it was not compiled: ${error?.message ?? stderr}`;
}
