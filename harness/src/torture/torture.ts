import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../random.js';
import type { Arguments } from './arguments.js';
import { backendNamed, isAvailable } from './backends.js';
import { ForgetfulDisk } from './disks/forgetful-disk.js';
import { type PlaceName, Places } from './disks/places.js';
import { SmallDisk } from './disks/small-disk.js';
import { hasCores } from './job.js';
import { Tally } from './tally.js';
import { TorturedCores } from './tortured-cores.js';
import type { Disks, TorturedLog } from './tortured-log.js';
import { TorturedSegments } from './tortured-segments.js';
import { describeVariant, type Variant, variantsOf } from './variant.js';
import { Crew, type Entries } from './victims/crew.js';

/** Logs that are tortured side by side: runs wait as much as they work. */
const SIDE_BY_SIDE = 2 * availableParallelism();

/** Runs of one log, unless everything is over before. */
const RUNS_MAX = 40;

/** Tortures logs until there were kills, or was time, enough, or a promise was broken. */
export class Torture {
  readonly #given: Arguments;
  readonly #entries: Entries;
  readonly #say: (line: string) => void;
  readonly #random: Random;
  readonly #tally = new Tally();
  readonly #folder: string;
  readonly #places: Places;
  readonly #deadline: number;
  #variants: readonly Variant[] = [];
  #logs = 0;
  #planted = false;
  #stopped = false;

  constructor(given: Arguments, entries: Entries, say: (line: string) => void) {
    this.#given = given;
    this.#entries = entries;
    this.#say = say;
    this.#random = new Random(given.seed);
    const parent = given.data ?? tmpdir();
    mkdirSync(parent, { recursive: true });
    this.#folder = mkdtempSync(join(parent, 'walstack-torture-'));
    this.#places = new Places(this.#folder);
    this.#deadline = performance.now() + given.minutes * 60_000;
  }

  /** Ends as soon as the runs under way have ended. */
  stop(): void {
    this.#stopped = true;
  }

  /** @returns whether every promise was kept */
  async run(): Promise<boolean> {
    this.#say(`seed ${this.#given.seed}, in ${this.#folder}`);
    try {
      await this.#prepare();
      if (this.#variants.length === 0) throw new Error('nothing of what was asked for works on this machine');
      await Promise.all(Array.from({ length: SIDE_BY_SIDE }, () => this.#work()));
    } finally {
      this.#places.removeDisks();
    }
    const kept = this.#tally.breaches === 0;
    if (kept) rmSync(this.#folder, { recursive: true });
    else this.#say(`broken with --seed ${this.#given.seed}; the logs are in ${this.#folder}`);
    const { opening, full, takeovers, deeds, salvages, salvageKills, salvagesInterrupted } = this.#tally;
    this.#say(`${deeds}`);
    this.#say(
      `${salvages} damaged logs salvaged, ${salvageKills} kills before they were, ${salvagesInterrupted} of them in the midst of it`,
    );
    this.#say(`${opening} runs ended before their log was open, ${full} met a full disk`);
    this.#say(`${takeovers} locks of killed processes had to be cleared by hand`);
    this.#say(`torture: ${this.#tally}`);
    return kept;
  }

  async #prepare(): Promise<void> {
    const backends = [];
    for (const backend of this.#given.backends.map(backendNamed)) {
      if (await isAvailable(backend)) backends.push(backend);
      else this.#say(`skipped: ${backend.name} does not work on this machine`);
    }
    const places: PlaceName[] = [];
    for (const place of this.#given.places) {
      const obstacle = await this.#places.whyNot(place);
      if (obstacle === undefined) places.push(place);
      else this.#say(`skipped: logs on ${place}, as ${obstacle}`);
    }
    this.#variants = await variantsOf(backends, places);
  }

  get #over(): boolean {
    const { ended, breaches } = this.#tally;
    return this.#stopped || breaches > 0 || ended >= this.#given.kills || performance.now() >= this.#deadline;
  }

  async #work(): Promise<void> {
    await using crew = new Crew(this.#entries);
    try {
      while (!this.#over) await this.#tortureOne(crew);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  async #tortureOne(crew: Crew): Promise<void> {
    const number = this.#logs++;
    // Each variant in its turn; which one is first is left to chance.
    const variant = this.#variants[(this.#given.seed + number) % this.#variants.length] as Variant;
    const seed = this.#random.seed();
    if (variant.place === 'full') return this.#tortureOnFullDisk(number, variant, seed, crew);
    if (variant.place === 'forgetful') return this.#tortureOnForgetfulDisk(number, variant, seed, crew);
    const directory = join(this.#places.of(variant.place), `log-${number}`);
    await this.#torture(number, this.#logOf(variant, directory, seed, crew));
  }

  #logOf(variant: Variant, directory: string, seed: number, crew: Crew, disks: Disks = {}): TorturedLog {
    const Log = hasCores(variant.api) ? TorturedCores : TorturedSegments;
    return new Log(variant, directory, seed, crew, this.#tally, disks);
  }

  async #tortureOnForgetfulDisk(number: number, variant: Variant, seed: number, crew: Crew): Promise<void> {
    await using disk = await ForgetfulDisk.mount(new Random(seed));
    await this.#torture(number, this.#logOf(variant, disk.directory, seed, crew, { forgetful: disk }));
  }

  async #tortureOnFullDisk(number: number, variant: Variant, seed: number, crew: Crew): Promise<void> {
    await using disk = new SmallDisk(this.#folder, `disk-${number}`);
    const log = new TorturedSegments(variant, join(disk.path, 'log'), seed, crew, this.#tally, { full: disk });
    // Only a log that is there already has to open on a full disk.
    await log.inspect();
    await this.#torture(number, log, () => log.endOnFullDisk(disk));
  }

  /** @param end - what is done to it at last, and has to see that it goes on */
  async #torture(number: number, log: TorturedLog, end = () => log.goOn()): Promise<void> {
    const { kills, plant } = this.#given;
    const runs = Math.min(RUNS_MAX, Math.max(1, Math.floor(kills / this.#variants.length)));
    let run = 0;
    for (; run < runs && !this.#over && log.breach === undefined; run++) {
      await log.endOneRun();
      if (plant !== undefined) await this.#plant(log, plant);
      else await log.salvage();
    }
    if (!this.#stopped) await end();
    await log.inspect();
    this.#conclude(number, log, run);
  }

  async #plant(log: TorturedLog, plant: NonNullable<Arguments['plant']>): Promise<void> {
    if (this.#planted || log.breach !== undefined || log.ledger.owed === 0) return;
    // A disk that forgets would take the damage back.
    if (log.variant.place === 'forgetful') return;
    const done = log.plant(plant);
    if (done === undefined) return;
    this.#planted = true;
    this.#say(`planted: ${done}`);
    // A run could cut it off before anything reads it.
    await log.inspect();
  }

  #conclude(number: number, log: TorturedLog, runs: number): void {
    const what = `${describeVariant(log.variant)}: ${runs} runs, ${log.ledger.acknowledged} acknowledged`;
    if (log.breach === undefined) {
      this.#say(what);
      rmSync(log.directory, { recursive: true, force: true });
    } else {
      const kept = join(this.#folder, `log-${number}`);
      // A disk goes with everything that is on it; after a power cut that may be nothing.
      if (log.directory !== kept && existsSync(log.directory)) cpSync(log.directory, kept, { recursive: true });
      this.#say(`${what}\nBROKEN in ${kept}: ${log.breach.text}`);
    }
  }
}
