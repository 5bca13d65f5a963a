import {
  type CoreWalWriter,
  type Incomplete,
  type PerCoreRecovery,
  type PerCoreWalConfig,
  PerCoreWalManager,
} from '@walstack/percore';
import type { ProcessRun } from '@walstack/storage-io/simulation';
import { CoreKnowledge, type CoreNote, type KnownEntry } from './core-knowledge.js';
import { DIRECTORY } from './modelled-log.js';
import { SimulatedEnvironment } from './simulated-environment.js';

/** What a mode says of each log. */
type CoresConfig = Partial<Omit<PerCoreWalConfig, 'recoveryMode' | 'salvageLsn'>>;

/** How a per-core log is opened, besides what the scenario says. */
export interface CoresOpening {
  readonly cores?: number | readonly number[];
  readonly incomplete?: Incomplete;
}

/**
 * A per-core log that notes what it is asked for and what it acknowledges, and that is held against what was noted whenever it
 * is opened. Snapshots are notes, too.
 */
export class ModelledCores {
  readonly #run: ProcessRun<CoreNote>;
  readonly #config: CoresConfig;
  #manager: PerCoreWalManager | undefined;
  /** Of each core: positions behind the entries that were appended in this run, and how many there were before. */
  #positions = new Map<number, { readonly before: number; readonly behind: number[] }>();
  /** Of each core: what the sync that was submitted has to make durable. */
  readonly #submitted = new Map<number, Appended>();
  /** Of each core: the commits of this run, and the positions behind them. */
  #commits = new Map<number, { readonly count: number; readonly behind: number }[]>();

  constructor(run: ProcessRun<CoreNote>, config: CoresConfig) {
    this.#run = run;
    this.#config = config;
  }

  /** A number from 0 to 1. */
  readonly random = (): number => this.#run.random();

  /** The log below. */
  get manager(): PerCoreWalManager {
    if (this.#manager === undefined) throw new Error('the log is not open');
    return this.#manager;
  }

  /** Opens the log, and holds what it is opened with against what was noted. A run that has it open is killed before. */
  async open({ cores = 3, incomplete = 'take' }: CoresOpening = {}): Promise<void> {
    if (this.#manager !== undefined) this.kill();
    const environment = new SimulatedEnvironment(this.#run);
    let found: ReadonlyMap<number, readonly KnownEntry[]> = new Map();
    let committed: ReadonlyMap<number, number> = new Map();
    this.#manager = await PerCoreWalManager.open({
      directory: DIRECTORY,
      blockBytes: 512,
      ...environment.options,
      ...this.#config,
      cores,
      incomplete,
      io: this.#run.io,
      recover: async (recovery) => {
        found = await this.#check(recovery, incomplete === 'leave');
        committed = committedIn(recovery);
        // What is left is not gone for good before the log is open.
        if (incomplete === 'leave') this.#run.note({ kind: 'leaving', cores: found });
        else this.#run.note({ kind: 'found', cores: found, committed });
      },
    });
    this.#run.note({ kind: 'found', cores: found, committed });
    this.#positions = new Map();
    this.#commits = new Map();
    this.#submitted.clear();
  }

  /** Appends an entry to the log of a core: a key with a value of so many bytes, or by chance one that is removed. */
  append(coreId: number, bytes: number): void {
    const isPut = this.random() < 0.8;
    const { content } = this.#next(coreId, isPut ? `${bytes}` : REMOVED);
    const writer = this.#writer(coreId);
    this.#place(coreId, isPut ? writer.appendPut(content, 'x'.repeat(bytes)) : writer.appendDelete(content));
    if (this.random() < 0.3) this.#commit(coreId);
  }

  /** Appends a commit of how many entries there are of a core. */
  #commit(coreId: number): void {
    const count = this.#knowledge.appendedTo(coreId).length;
    this.#run.note({ kind: 'committed', coreId, count });
    const behind = this.#writer(coreId).appendCommit({ [sourceOf(coreId)]: count });
    this.#commits.set(coreId, [...(this.#commits.get(coreId) ?? []), { count, behind }]);
  }

  /** Appends several entries to cores by chance. */
  appendSome(entries: number, bytesMost: number): void {
    const { coreIds } = this.manager;
    for (let entry = 0; entry < entries; entry++) {
      const coreId = coreIds[Math.floor(this.random() * coreIds.length)] as number;
      this.append(coreId, Math.floor(this.random() ** 2 * bytesMost));
    }
  }

  /** Makes durable what was appended to a core. */
  async sync(coreId: number): Promise<void> {
    const writer = this.#writer(coreId);
    const appended = this.#appendedTo(writer);
    await writer.sync();
    this.#synced(writer, appended);
  }

  async syncAll(): Promise<void> {
    const all = this.#allAppended();
    await this.manager.syncAll();
    for (const [writer, appended] of all) this.#synced(writer, appended);
  }

  /** Begins a sync of a core that is asked about later. */
  submit(coreId: number): void {
    const writer = this.#writer(coreId);
    if (writer.isSyncPending) return;
    const appended = this.#appendedTo(writer);
    writer.submitSync();
    this.#submitted.set(coreId, appended);
  }

  /** Asks about the sync of a core; what it says is durable is held to be. */
  async poll(coreId: number): Promise<void> {
    await new Promise(setImmediate);
    const writer = this.#writer(coreId);
    const submitted = this.#submitted.get(coreId);
    if (submitted === undefined || !writer.checkCompletions()) return;
    this.#submitted.delete(coreId);
    this.#synced(writer, submitted);
  }

  /** Asks about the sync of a core until it says that it has ended. */
  async settle(coreId: number): Promise<void> {
    for (let turns = 0; this.#submitted.has(coreId); turns++) {
      if (turns === SETTLED_WITHIN)
        throw new Error(`withheld: the sync that was submitted of core ${coreId} never ends`);
      await this.poll(coreId);
    }
  }

  async endEpoch(): Promise<void> {
    const all = this.#allAppended();
    const epoch = await this.manager.endEpoch();
    this.#completed(epoch, all);
  }

  /** @param takeSnapshot - what else is done while the snapshot is made */
  async checkpoint(takeSnapshot: () => Promise<void> = async () => {}): Promise<void> {
    const all = this.#allAppended();
    const { id, epoch } = await this.manager.checkpoint(async (checkpoint) => {
      await takeSnapshot();
      this.#run.note({ kind: 'snapshot', id: checkpoint.id, cores: this.#upTo(checkpoint.epoch) });
    });
    this.#run.note({ kind: 'checkpoint', id });
    this.#completed(epoch, all);
  }

  /** Forgets everything up to now: to the model, a checkpoint whose snapshot stands for all of it. */
  async reset(): Promise<void> {
    const { manager } = this;
    const id = (manager.lastCheckpoint?.id ?? 0) + 1;
    this.#run.note({ kind: 'snapshot', id, cores: this.#upTo(manager.epoch) });
    this.#run.note({ kind: 'forgetting' });
    await manager.reset();
    const made = manager.lastCheckpoint;
    if (made?.id !== id || made.snapshot) throw new Error(`the reset has made checkpoint ${made?.id}, and not ${id}`);
    this.#run.note({ kind: 'checkpoint', id });
    this.#run.note({ kind: 'epoch', epoch: made.epoch });
    this.#run.note({ kind: 'forgotten' });
    this.#commits = new Map();
  }

  /** Removes the segments that the last checkpoint has made superfluous. */
  async truncate(): Promise<void> {
    await this.manager.truncate();
  }

  async close(): Promise<void> {
    const { manager } = this;
    const { epoch } = manager;
    const all = this.#allAppended();
    await manager.close();
    this.#completed(epoch, all);
    this.#manager = undefined;
  }

  /** Kills the process that has the log open: what was not acknowledged may get lost. */
  kill(): void {
    this.#run.restart();
    this.#manager = undefined;
  }

  #writer(coreId: number): CoreWalWriter {
    return this.manager.writer(coreId);
  }

  /** Noted before it is appended: it could be written at once. */
  #next(coreId: number, what: string): KnownEntry {
    const content = `${coreId}/${this.#run.notes.length}/${what}`;
    const entry = { epoch: this.manager.epoch, content };
    this.#placesOf(coreId);
    this.#run.note({ kind: 'appended', coreId, entry });
    return entry;
  }

  #placesOf(coreId: number): { readonly before: number; readonly behind: number[] } {
    const known = this.#positions.get(coreId);
    if (known !== undefined) return known;
    const places = { before: this.#knowledge.appendedTo(coreId).length, behind: [] };
    this.#positions.set(coreId, places);
    return places;
  }

  #place(coreId: number, position: number): void {
    this.#placesOf(coreId).behind.push(position);
  }

  /** What there is of a core, all of which the next sync is to make durable. */
  #appendedTo({ coreId, position }: CoreWalWriter): Appended {
    const count = this.#knowledge.appendedTo(coreId).length;
    return { position, count, committed: this.#commits.get(coreId)?.at(-1)?.count ?? 0 };
  }

  #allAppended(): readonly (readonly [CoreWalWriter, Appended])[] {
    const writers = this.manager.coreIds.map((coreId) => this.#writer(coreId));
    return writers.map((writer) => [writer, this.#appendedTo(writer)]);
  }

  /** A sync is done: what was appended before it is durable, and the writer says so. */
  #synced(writer: CoreWalWriter, { position, count, committed }: Appended): void {
    const { coreId, syncedPosition } = writer;
    if (syncedPosition < position) {
      throw new Error(`a sync of core ${coreId} left ${position} not durable, but ${syncedPosition}`);
    }
    this.#run.note({ kind: 'durable', coreId, count, committed });
    this.#acknowledge(writer);
  }

  /** An epoch is complete: what was appended before it ended is durable, whatever is left out later. */
  #completed(epoch: number, all: readonly (readonly [CoreWalWriter, Appended])[]): void {
    for (const [{ coreId }, { count, committed }] of all) {
      this.#run.note({ kind: 'durable', coreId, count, committed });
    }
    const committed = new Map(all.map(([{ coreId }, appended]) => [coreId, appended.committed]));
    this.#run.note({ kind: 'epoch', epoch, committed });
  }

  /** What the writer says is synced has to be there from now on. */
  #acknowledge({ coreId, syncedPosition }: CoreWalWriter): void {
    const { before, behind } = this.#placesOf(coreId);
    const count = before + behind.filter((position) => position <= syncedPosition).length;
    const commits = (this.#commits.get(coreId) ?? []).filter((commit) => commit.behind <= syncedPosition);
    const committed = commits.at(-1)?.count ?? 0;
    this.#run.note({ kind: 'durable', coreId, count, committed });
  }

  get #knowledge(): CoreKnowledge {
    return new CoreKnowledge(this.#run.notes);
  }

  /** What a snapshot of a checkpoint holds. */
  #upTo(epoch: number): ReadonlyMap<number, readonly KnownEntry[]> {
    const knowledge = this.#knowledge;
    const cores = new Set(this.#run.notes.flatMap((note) => coresOf(note)));
    const upTo = (coreId: number): KnownEntry[] => knowledge.appendedTo(coreId).filter((entry) => entry.epoch <= epoch);
    return new Map([...cores].map((coreId) => [coreId, upTo(coreId)]));
  }

  async #check(recovery: PerCoreRecovery, left: boolean): Promise<ReadonlyMap<number, readonly KnownEntry[]>> {
    const cores = new Map<number, KnownEntry[]>();
    let lastEpoch = 0;
    for await (const entry of recovery.entries()) {
      if (entry.epoch < lastEpoch) throw new Error(`an entry of epoch ${entry.epoch} comes behind one of ${lastEpoch}`);
      lastEpoch = entry.epoch;
      if (entry.operation !== 'put' && entry.operation !== 'delete') continue;
      const content = Buffer.from(entry.key).toString();
      const what = entry.operation === 'put' ? entry.value.length : REMOVED;
      if (!content.endsWith(`/${what}`)) throw new Error(`the ${entry.operation} of ${content} is another one`);
      cores.set(entry.coreId, [...(cores.get(entry.coreId) ?? []), { epoch: entry.epoch, content }]);
    }
    const { completeEpoch, checkpoint } = recovery;
    const committed = committedIn(recovery);
    return this.#knowledge.check({ checkpointId: checkpoint?.id ?? 0, completeEpoch, left, cores, committed });
  }
}

/** What there was of a core when something was asked for. */
interface Appended {
  readonly position: number;
  /** Entries of all runs. */
  readonly count: number;
  /** The last commit of this run; 0 when there is none. */
  readonly committed: number;
}

/** At the end of a key that is removed. */
const REMOVED = 'removed';

/** The source of which each core commits how far it was read. */
const sourceOf = (coreId: number): string => `entries of ${coreId}`;

/** Turns of the event loop, in each of which the simulated disk carries out something: far more than a sync needs. */
const SETTLED_WITHIN = 10_000;

/** More cores than any scenario has. */
const CORES_MOST = 4;

function committedIn({ offsets }: PerCoreRecovery): ReadonlyMap<number, number> {
  const ids = Array.from({ length: CORES_MOST }, (_, coreId) => coreId);
  return new Map(ids.map((coreId) => [coreId, Number(offsets.get(sourceOf(coreId)) ?? 0n)]));
}

const coresOf = (note: CoreNote): readonly number[] => {
  if ('coreId' in note) return [note.coreId];
  return note.kind === 'found' || note.kind === 'leaving' ? [...note.cores.keys()] : [];
};
