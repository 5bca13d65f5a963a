#!/usr/bin/env node
import process from 'node:process';
import { run } from './run.js';

const interrupted = new AbortController();
// The first one ends the command in order; the next one ends the process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort());

const { stdout, stderr, stdin, env } = process;
process.exitCode = await run(process.argv.slice(2), { stdout, stderr, stdin, env, signal: interrupted.signal });
// Output that is not read must not keep it either.
if (interrupted.signal.aborted) process.exit();
// Standard input that was not read to its end must not keep the process.
stdin.unref?.();
