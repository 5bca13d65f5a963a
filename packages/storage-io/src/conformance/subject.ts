import assert from 'node:assert/strict';
import { getSystemErrorMap } from 'node:util';
import { WalError, type WalErrorCode } from '@walstack/codec';
import { CompletionBuffer } from '../completion-buffer.js';
import type { IoFile, IoToken, OpenOptions, StorageIo } from '../storage-io.js';
import { OtherProcess } from './other-process.js';

/** A backend to be tested, fresh, with an empty directory to work in. */
export interface ConformanceBackend {
  readonly io: StorageIo;
  /** An existing, empty directory of this backend. The suite joins names to it with `/`. */
  readonly directory: string;
  /**
   * Makes a second backend on the same files: for locks, files of another backend, and the content after `dispose`. The
   * suite disposes of it. Optional only in a suite that is declared with `alone`.
   */
  another?(): StorageIo;
  /**
   * Cuts the power: drops everything that was not made durable, and returns a new backend on the rest. The earlier
   * backends are only disposed of. For a suite that is declared with `powerCuts`.
   */
  powerCut?(): StorageIo | Promise<StorageIo>;
  /** Called after the case, whatever its outcome; the suite has disposed of the backends by then. */
  destroy?(): void | Promise<void>;
}

/** Options for `create` in `storageIoConformance`. */
export interface ConformanceCreateOptions {
  /** After how many submissions that were not polled the queue is full. Default: the backend's own. */
  readonly maxPending?: number;
}

/** What a case requires of the suite besides the backend. */
export type ConformanceNeed = 'another' | 'power cut' | 'another process';

/** The declaration of a suite, as far as its cases need it. */
export interface SuiteSettings {
  readonly alone: boolean;
  /** The module that makes a backend in another process. */
  readonly module: string | undefined;
}

/** One rule of the contract, as a test. */
export interface ConformanceCase {
  readonly name: string;
  readonly maxPending?: number;
  /** The case is declared only where the suite has it. */
  readonly needs?: ConformanceNeed;
  run(subject: Subject): Promise<void> | void;
}

/**
 * A backend under test and a record of its submissions: it is always checked that every token is new, and completes
 * exactly once.
 */
export class Subject {
  readonly io: StorageIo;
  readonly #backend: ConformanceBackend;
  readonly #settings: SuiteSettings;
  readonly #others: StorageIo[] = [];
  readonly #processes: OtherProcess[] = [];
  readonly #tokens = new Set<IoToken>();
  readonly #results = new Map<IoToken, number>();
  readonly #buffer = new CompletionBuffer(64);

  constructor(backend: ConformanceBackend, settings: SuiteSettings, io: StorageIo = backend.io) {
    this.#backend = backend;
    this.#settings = settings;
    this.io = io;
  }

  get directory(): string {
    return this.#backend.directory;
  }

  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  /** The same files through a second backend; `undefined` in a suite that was declared to have none. */
  another(): Subject | undefined {
    if (this.#settings.alone) return undefined;
    const io = this.#backend.another?.();
    assert.ok(io !== undefined, 'this case needs a second backend: `create` gives `another`, or the suite is `alone`');
    return this.#beside(io);
  }

  /** Cuts the power, and returns a new backend on what is left. */
  async afterPowerCut(): Promise<Subject> {
    const io = await this.#backend.powerCut?.();
    assert.ok(io !== undefined, 'a suite with `powerCuts` needs backends with `powerCut`');
    return this.#beside(io);
  }

  /** Another process with a backend of its own on the same files. */
  anotherProcess(): OtherProcess {
    assert.ok(this.#settings.module !== undefined);
    const process = new OtherProcess(this.#settings.module);
    this.#processes.push(process);
    return process;
  }

  /** Opens a file that need not exist. */
  open(name: string, options: OpenOptions = { create: true }): IoFile {
    return this.io.open(this.path(name), options);
  }

  /** Records a submission. */
  submitted(token: IoToken): IoToken {
    assert.ok(Number.isSafeInteger(token) && token > 0, `a token must be a positive integer, not ${token}`);
    assert.ok(!this.#tokens.has(token), `token ${token} was given out twice`);
    this.#tokens.add(token);
    return token;
  }

  /** Records the completions in a buffer. */
  completed(buffer: CompletionBuffer, count: number): void {
    assert.ok(Number.isInteger(count) && count >= 0 && count <= buffer.capacity, `${count} completions in the buffer`);
    for (let index = 0; index < count; index++) {
      const token = buffer.tokens[index] as number;
      assert.ok(this.#tokens.has(token), `a completion for token ${token}, which was never given out`);
      assert.ok(!this.#results.has(token), `token ${token} completed twice`);
      this.#results.set(token, buffer.results[index] as number);
    }
  }

  /** How many of the recorded submissions have completed. */
  get completedCount(): number {
    return this.#results.size;
  }

  /** Whether a submission has completed, as far as was polled. */
  hasCompleted(token: IoToken): boolean {
    return this.#results.has(token);
  }

  /** The result of a submission that has completed. */
  resultOf(token: IoToken): number {
    const result = this.#results.get(token);
    assert.ok(result !== undefined, `token ${token} has not completed`);
    return result;
  }

  /** Polls once. */
  poll(): number {
    const count = this.io.pollCompletions(this.#buffer);
    this.completed(this.#buffer, count);
    return count;
  }

  /** The results of submissions, when all have completed. */
  async results(...tokens: IoToken[]): Promise<number[]> {
    for (const token of tokens) if (!this.#tokens.has(token)) this.submitted(token);
    this.io.flush();
    while (tokens.some((token) => !this.#results.has(token))) {
      if (this.poll() === 0) await turn();
    }
    return tokens.map((token) => this.resultOf(token));
  }

  async result(token: IoToken): Promise<number> {
    return (await this.results(token))[0] as number;
  }

  /** Writes at an offset, and waits for it. */
  async write(file: IoFile, data: Uint8Array, offset: number): Promise<void> {
    assert.equal(await this.result(this.io.submitWrite(file, data, offset)), data.length);
  }

  /** Reads at most `length` bytes. */
  async read(file: IoFile, offset: number, length: number): Promise<Uint8Array> {
    const into = new Uint8Array(length);
    const count = await this.result(this.io.submitRead(file, into, offset));
    assert.ok(count >= 0, `reading failed with ${errorName(count)}`);
    return into.slice(0, count);
  }

  /** Makes a file with this content, and closes it. */
  async make(name: string, content: Uint8Array = new Uint8Array(0)): Promise<void> {
    const file = this.open(name);
    await this.write(file, content, 0);
    this.io.close(file);
  }

  /** Everything in a file. */
  async content(name: string): Promise<Uint8Array> {
    const file = this.open(name, {});
    const bytes = await this.read(file, 0, this.io.size(file) + 1);
    this.io.close(file);
    return bytes;
  }

  /** Disposes of every backend of the case. */
  async end(): Promise<void> {
    for (const process of this.#processes) await process.kill();
    for (const io of [this.io, ...this.#others]) await io.dispose();
    await this.#backend.destroy?.();
  }

  #beside(io: StorageIo): Subject {
    this.#others.push(io);
    return new Subject(this.#backend, this.#settings, io);
  }
}

/** Waits for one turn of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Bytes that differ from their neighbours and from those of another seed. They repeat every 16 MiB only: a piece of a large
 * write is not the one before it.
 */
export function bytes(length: number, seed = 1): Uint8Array {
  const made = new Uint8Array(length);
  for (let index = 0; index < length; index++) {
    made[index] = (index * 31 + (index >> 8) * 7 + (index >> 16) * 11 + seed * 101) & 0xff;
  }
  return made;
}

/** Compares contents without printing megabytes when they differ. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array, what = 'content'): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.fail(`${what}: differs at byte ${at}`);
}

/** The name of the system error for a negative result. */
export const errorName = (result: number): string => getSystemErrorMap().get(result)?.[0] ?? `${result}`;

/** Checks that a call throws a `WalError` with this code, and returns it. */
export function throwsWal(code: WalErrorCode, call: () => unknown): WalError {
  try {
    call();
  } catch (error) {
    assert.ok(WalError.is(error), `expected ${code}, got ${error}`);
    assert.equal(error.code, code, `expected ${code}, got ${error.code}: ${error.message}`);
    return error;
  }
  throw new assert.AssertionError({ message: `expected ${code}, and nothing was thrown` });
}
