#!/usr/bin/env node
import process from 'node:process';
import { run } from '@walstack/cli';
import { compareCommand } from './compare.js';
import { rebuildCommand } from './rebuild.js';
import { shipCommand } from './ship.js';

const interrupted = new AbortController();
// The first one ends the command in order; the next one ends the process.
process.once('SIGINT', () => interrupted.abort());

const { stdout, stderr, stdin, env } = process;
const streams = { stdout, stderr, stdin, env, signal: interrupted.signal };
process.exitCode = await run(process.argv.slice(2), streams, [shipCommand, rebuildCommand, compareCommand]);
stdin.unref?.();
