import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeReport, type Report } from '../../torture/reports.js';
import type { FileSystem } from '../file-systems.js';
import type { LogPlan } from '../logs.js';
import { type DiskEvent, decodeEvent } from './events.js';
import { bytesPathOf, eventsPathOf } from './recorder.js';

/** What a record is about, beside what happened. */
export interface RecordFacts {
  readonly fileSystem: FileSystem;
  readonly kernel: string;
  /** Of everything that is left to chance with its images. */
  readonly seed: number;
  readonly logs: readonly LogPlan[];
  /** What each log had reported in the guests before, up to the cut after which the next one began. */
  readonly history: readonly (readonly (readonly string[])[])[];
}

/** The image of the disk when a record began. */
export const baseOf = (folder: string): string => join(folder, 'base.image');

const factsPathOf = (folder: string): string => join(folder, 'facts.json');

export const writeFacts = (folder: string, facts: RecordFacts): void =>
  writeFileSync(factsPathOf(folder), JSON.stringify(facts, undefined, 2));

/** Everything that happened between a guest and its disk until the power was cut. */
export class DiskRecord {
  readonly facts: RecordFacts;
  readonly events: readonly DiskEvent[];
  readonly #bytes: number;
  /** By log, what it has told, and at which event. */
  readonly #told: { readonly at: number; readonly line: string; readonly report: Report }[][];
  /** By log, what it had told in the runs before. */
  readonly #before: readonly Report[][][];

  constructor(folder: string) {
    this.facts = JSON.parse(readFileSync(factsPathOf(folder), 'utf8')) as RecordFacts;
    const lines = readFileSync(eventsPathOf(folder), 'utf8').split('\n');
    this.events = lines.filter((line) => line !== '').map(decodeEvent);
    this.#bytes = openSync(bytesPathOf(folder), 'r');
    this.#told = this.facts.logs.map(() => []);
    for (const [at, event] of this.events.entries()) {
      if (event.what !== 'report') continue;
      this.#told[event.log]?.push({ at, line: event.line, report: decodeReport(event.line) });
    }
    this.#before = this.facts.logs.map((_, log) =>
      this.facts.history.map((lines) => (lines[log] ?? []).map(decodeReport)),
    );
  }

  /** Bytes that were written. */
  readonly bytesAt = (offset: number, length: number): Uint8Array => {
    const bytes = Buffer.alloc(length);
    readSync(this.#bytes, bytes, 0, length, offset);
    return bytes;
  };

  /** What a log had reported before the event with this number. */
  linesBefore(cut: number, log: number): string[] {
    return (this.#told[log] ?? []).filter(({ at }) => at < cut).map(({ line }) => line);
  }

  /** What a log has reported up to a cut, in each of its runs. */
  runsOf(log: number, cut: number): Report[][] {
    const now = (this.#told[log] ?? []).filter(({ at }) => at < cut).map(({ report }) => report);
    return [...(this.#before[log] ?? []), now];
  }

  close(): void {
    closeSync(this.#bytes);
  }
}
