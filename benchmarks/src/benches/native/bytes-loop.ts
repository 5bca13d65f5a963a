import { execFileSync, spawnSync } from 'node:child_process';
import { inPackage } from '../../machine/folders.js';
import type { Scratch } from '../../machine/scratch.js';
import type { BytesWork } from './bytes-work.js';

const ADDON = inPackage('../packages/native/addon');
const SOURCES = [inPackage('native/bytes_loop.cc'), `${ADDON}/crc32c.cc`, `${ADDON}/frames.cc`];

/** The same work with nothing of JavaScript in it, as a program of its own, compiled when it is first asked for. */
export class BytesLoop {
  readonly #program: string;
  #isCompiled = false;

  constructor(scratch: Scratch) {
    this.#program = scratch.next('bytes-loop');
  }

  /** Whether there is a compiler to make it with. */
  static isPossible(): boolean {
    return spawnSync(compiler(), ['--version']).status === 0;
  }

  /** @returns bytes or records a second */
  measure(work: BytesWork, durationMs: number): number {
    if (!this.#isCompiled)
      execFileSync(compiler(), ['-std=c++17', '-O3', `-I${ADDON}`, ...SOURCES, '-o', this.#program]);
    this.#isCompiled = true;
    return Number(execFileSync(this.#program, [work, String(durationMs)], { encoding: 'utf8' }));
  }
}

const compiler = (): string => process.env['CXX'] ?? 'g++';
