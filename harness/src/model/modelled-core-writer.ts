import { WalError } from '@walstack/codec';
import { CoreWalWriter, type CoreWalWriterOptions, PerCoreWalReader } from '@walstack/percore';
import type { ProcessRun } from '@walstack/storage-io/simulation';
import { DIRECTORY } from './modelled-log.js';
import { SimulatedEnvironment } from './simulated-environment.js';

/** What is noted about the log of a core that has no manager. Entries are numbered from 0 through all runs. */
export type WriterNote =
  /** An entry was put, and may be there. */
  | { readonly kind: 'put'; readonly content: string }
  /** So many entries were committed as read. */
  | { readonly kind: 'committed'; readonly count: number }
  /** So many entries, and this commit, were acknowledged. */
  | { readonly kind: 'durable'; readonly entries: number; readonly committed: number }
  /** Entries before this one may go. */
  | { readonly kind: 'truncating'; readonly first: number }
  /** The log was opened with the entries up to this one, and this commit: they are durable by that. */
  | { readonly kind: 'found'; readonly end: number; readonly committed: number };

/** What a mode says of the log. */
type WriterConfig = Partial<Omit<CoreWalWriterOptions, 'recoveryMode' | 'salvageLsn'>>;

const CORE = 0;
const SOURCE = 'orders';

/** What there is in a log: entries, and what was committed. */
class WriterKnowledge {
  entries: string[] = [];
  /** What may have been committed last, in order. */
  #commits = [0];
  #durable = 0;
  #durableCommit = 0;
  #neededFrom = 0;

  constructor(notes: readonly WriterNote[]) {
    for (const note of notes) this.#learn(note);
  }

  get committed(): number {
    return this.#commits.at(-1) ?? 0;
  }

  /** @returns behind which entry the log ends @throws an error that says which promise is broken */
  check(found: readonly string[], committed: number): number {
    const [first] = found;
    const start = first === undefined ? Math.min(this.#neededFrom, this.entries.length) : this.entries.indexOf(first);
    if (start < 0) throw new Error(`${first} was never put`);
    const end = start + found.length;
    if (found.some((content, index) => content !== this.entries[start + index])) {
      throw new Error(`of entries ${start} to ${end} some are others`);
    }
    if (start > this.#neededFrom) throw new Error(`lost: ${this.#neededFrom} is needed, the log begins with ${start}`);
    if (end < this.#durable) throw new Error(`lost: ${this.#durable} entries were acknowledged, it ends with ${end}`);
    const possible = this.#commits.filter((count) => count >= this.#durableCommit);
    if (!possible.includes(committed)) throw new Error(`${committed} is committed, and was one of ${possible}`);
    return end;
  }

  #learn(note: WriterNote): void {
    switch (note.kind) {
      case 'put':
        this.entries.push(note.content);
        return;
      case 'committed':
        this.#commits.push(note.count);
        return;
      case 'durable':
        this.#durable = Math.max(this.#durable, note.entries);
        this.#durableCommit = Math.max(this.#durableCommit, note.committed);
        return;
      case 'truncating':
        this.#neededFrom = Math.max(this.#neededFrom, note.first);
        return;
      case 'found':
        this.entries = this.entries.slice(0, note.end);
        this.#commits = this.#commits.filter((count) => count < note.committed).concat(note.committed);
        this.#durable = note.end;
        this.#durableCommit = note.committed;
        // What was about to go and has stayed may still be asked to go.
        this.#neededFrom = Math.min(this.#neededFrom, note.end);
    }
  }
}

/** The log of a core without a manager, held against what was noted whenever it is opened, and read as others read it. */
export class ModelledCoreWriter {
  readonly #run: ProcessRun<WriterNote>;
  readonly #config: WriterConfig;
  #writer: CoreWalWriter | undefined;
  /** Of entries of this run: their numbers and LSNs. */
  #places: { readonly entry: number; readonly lsn: number }[] = [];

  constructor(run: ProcessRun<WriterNote>, config: WriterConfig) {
    this.#run = run;
    this.#config = config;
  }

  /** A number from 0 to 1. */
  readonly random = (): number => this.#run.random();

  get isOpen(): boolean {
    return this.#writer !== undefined;
  }

  /** The writer below. */
  get writer(): CoreWalWriter {
    if (this.#writer === undefined) throw new Error('the log is not open');
    return this.#writer;
  }

  /** Opens the log, read before and after that. A run that has it open is killed before. */
  async open(): Promise<void> {
    if (this.#writer !== undefined) this.#run.restart();
    this.#writer = undefined;
    const { io, disks } = this.#run;
    const before = await this.#read();
    const environment = new SimulatedEnvironment(this.#run);
    this.#writer = await CoreWalWriter.open(CORE, DIRECTORY, {
      blockBytes: 512,
      ...environment.options,
      ...this.#config,
      io,
    });
    this.#places = [];
    const after = (await this.#read()) ?? [];
    const isSteady = disks.every(({ lastFailed }) => lastFailed === undefined);
    if (isSteady && (before ?? []).join() !== after.join()) {
      throw new Error(`a reader has found ${before?.length ?? 0} entries, the writer ${after.length}`);
    }
    const committed = this.#committed;
    const end = this.#knowledge.check(after, committed);
    this.#run.note({ kind: 'found', end, committed });
  }

  put(bytes: number): void {
    const content = `${this.#run.notes.length}/`.padEnd(bytes, '#');
    const entry = this.#knowledge.entries.length;
    this.#run.note({ kind: 'put', content });
    this.writer.appendPut(content, 'x');
    this.#places.push({ entry, lsn: this.writer.lastLsn });
  }

  /** Puts several entries of up to so many bytes. */
  putSome(entries: number, bytesMost: number): void {
    for (let entry = 0; entry < entries; entry++) this.put(Math.floor(this.random() ** 2 * bytesMost));
  }

  commit(): void {
    const count = this.#knowledge.entries.length;
    this.#run.note({ kind: 'committed', count });
    this.writer.appendCommit({ [SOURCE]: count });
  }

  async sync(): Promise<void> {
    const entries = this.#knowledge.entries.length;
    const { committed } = this.#knowledge;
    await this.writer.sync();
    this.#run.note({ kind: 'durable', entries, committed });
  }

  /** Needs nothing any more before one of the entries of this run. */
  async truncate(): Promise<void> {
    const place = this.#places[Math.floor(this.random() * this.#places.length)];
    if (place === undefined) return;
    this.#run.note({ kind: 'truncating', first: place.entry });
    await this.writer.truncateBefore(place.lsn);
  }

  async close(): Promise<void> {
    const entries = this.#knowledge.entries.length;
    const { committed } = this.#knowledge;
    await this.writer.close();
    this.#run.note({ kind: 'durable', entries, committed });
    this.#writer = undefined;
  }

  get #knowledge(): WriterKnowledge {
    return new WriterKnowledge(this.#run.notes);
  }

  get #committed(): number {
    return Number(this.writer.committed.offsets.get(SOURCE) ?? 0n);
  }

  /** All entries as a reader beside the writer sees them; `undefined` where there is no log. */
  async #read(): Promise<string[] | undefined> {
    const contents: string[] = [];
    let reader: PerCoreWalReader;
    try {
      reader = await PerCoreWalReader.open(CORE, DIRECTORY, { io: this.#run.io });
    } catch (error) {
      if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
      throw error;
    }
    try {
      for await (const entry of reader) {
        if (entry.operation === 'put') contents.push(Buffer.from(entry.key).toString('latin1'));
      }
    } catch (error) {
      if (WalError.is(error, 'WAL_NOT_FOUND')) return undefined;
      throw error;
    } finally {
      await reader.close();
    }
    return contents;
  }
}
