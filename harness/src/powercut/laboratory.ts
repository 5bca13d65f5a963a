import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../random.js';
import type { Arguments, DiskKind } from './arguments.js';
import type { Honours } from './cut/recorded-disk.js';
import { Examination, type ImageFinding } from './examination.js';
import { type FileSystem, makeImage } from './file-systems.js';
import { initramfsOf } from './guest/initramfs.js';
import { recordGuest, saveInitramfs } from './guest-run.js';
import { describePlan, planCarelessLog, planLogs } from './logs.js';
import { baseOf } from './record/disk-record.js';
import { findGuestParts, type GuestParts, missingForImages } from './requirements.js';
import { judged, Tally } from './tally.js';

const MEMORY = '/dev/shm';

/** One file system, backend and disk. */
interface Combination {
  readonly fileSystem: FileSystem;
  readonly backend: string;
  readonly disk: DiskKind;
}

/** Records guests and examines what a power cut leaves of their disks. */
export class Laboratory {
  readonly #given: Arguments;
  readonly #say: (line: string) => void;
  readonly #random: Random;
  readonly #honours: Honours;
  #stopped = false;
  /** Folders of records of which an image was wrong. */
  readonly #kept: string[] = [];

  constructor(given: Arguments, say: (line: string) => void) {
    this.#given = given;
    this.#say = say;
    this.#random = new Random(given.seed);
    this.#honours = { flush: given.control !== 'ignore-flush', fua: given.control !== 'ignore-fua' };
  }

  /** Ends with the image that is looked at now. */
  stop(): void {
    this.#stopped = true;
  }

  /** @returns whether nothing was lost of what every log has acknowledged, or, with a control, whether something was */
  async run(): Promise<boolean> {
    const { record, fileSystems, kernel } = this.#given;
    const missing = missingForImages(record === undefined ? fileSystems : []);
    const parts = record === undefined ? findGuestParts(kernel) : [];
    if (Array.isArray(parts)) missing.push(...parts);
    if (missing.length > 0) {
      this.#say(`skipped: what is missing here is ${missing.join('; ')}`);
      return true;
    }
    if (record !== undefined) return this.#repeat(record);
    const folder = this.#makeFolder();
    this.#say(`seed ${this.#given.seed}, in ${folder}`);
    const tallies = await this.#all(folder, parts as GuestParts);
    if (this.#kept.length === 0) rmSync(folder, { recursive: true });
    return this.#judge(tallies);
  }

  #makeFolder(): string {
    const parent = this.#given.data ?? (existsSync(MEMORY) ? MEMORY : tmpdir());
    mkdirSync(parent, { recursive: true });
    return mkdtempSync(join(parent, 'walstack-powercut-'));
  }

  async #all(folder: string, parts: GuestParts): Promise<Tally[]> {
    const { fileSystems, backends, disks } = this.#given;
    this.#say(`guests with Linux ${parts.kernel.version}`);
    const initramfs = saveInitramfs(initramfsOf(parts.kernel, parts.busybox), folder);
    const tallies = [];
    for (const fileSystem of fileSystems) {
      for (const backend of backends) {
        for (const disk of disks) {
          if (this.#stopped) continue;
          const place = join(folder, `${fileSystem}-${backend}-${disk}`);
          tallies.push(await this.#examine({ fileSystem, backend, disk }, place, parts, initramfs));
        }
      }
    }
    rmSync(initramfs);
    return tallies;
  }

  /** Records one guest after the other, each on the disk of the one before with its power cut, and looks at images of each. */
  async #examine(
    { fileSystem, backend, disk }: Combination,
    place: string,
    parts: GuestParts,
    initramfs: string,
  ): Promise<Tally> {
    const { control, runs, images, seconds, mountOptions } = this.#given;
    const random = new Random(this.#random.seed());
    const tally = new Tally(`${fileSystem}, ${backend}, ${disk}${control === 'none' ? '' : `, ${control}`}`);
    const logs = control === 'careless' ? planCarelessLog(backend, random) : planLogs(backend, random);
    this.#say(`${tally.what}: ${logs.map(describePlan).join('; ')}`);
    const history: string[][][] = [];
    let folder = join(place, '1');
    mkdirSync(folder, { recursive: true });
    makeImage(fileSystem, baseOf(folder));
    for (let run = 1; run <= runs && !this.#stopped; run++) {
      if (run > 1) this.#say(`${tally}`);
      const facts = { fileSystem, kernel: parts.kernel.version, seed: random.seed(), logs, history: [...history] };
      await recordGuest({
        folder,
        facts,
        parts,
        initramfs,
        fua: disk === 'fua',
        mountOptions,
        seconds,
        say: this.#say,
      });
      const share = Math.ceil((images - tally.images) / (runs - run + 1));
      const wrong = await this.#look(folder, range(share), tally);
      const next = join(place, `${run + 1}`);
      mkdirSync(next);
      const examination = new Examination(folder, this.#honours);
      history.push(await examination.makeBase(baseOf(next)));
      examination.close();
      if (wrong === undefined) rmSync(folder, { recursive: true });
      folder = next;
    }
    rmSync(folder, { recursive: true });
    this.#say(`${tally}`);
    return tally;
  }

  /** @returns the first image on which something is wrong */
  async #look(folder: string, numbers: readonly number[], tally: Tally): Promise<ImageFinding | undefined> {
    const examination = new Examination(folder, this.#honours);
    let wrong: ImageFinding | undefined;
    try {
      tally.countRecord(examination.record);
      for await (const finding of examination.images(numbers, () => this.#stopped)) {
        tally.countImage(finding, examination.record.facts.logs.length);
        if (finding.verdict === 'kept' || wrong !== undefined) continue;
        wrong = finding;
        if (this.#given.control === 'none') this.#report(folder, finding);
      }
    } finally {
      examination.close();
    }
    return this.#given.control === 'none' ? wrong : undefined;
  }

  #report(folder: string, { image, cut, verdict, text }: ImageFinding): void {
    this.#kept.push(folder);
    this.#say(`${verdict}, with the power cut before event ${cut}: ${text}`);
    this.#say(`again: pnpm powercut --record ${folder} --image ${image}`);
  }

  async #repeat(record: string): Promise<boolean> {
    const { image, images } = this.#given;
    const copy = this.#makeFolder();
    try {
      cpSync(record, copy, { recursive: true });
      const tally = new Tally(record);
      await this.#look(copy, image === undefined ? range(images) : [image], tally);
      this.#say(`${tally}`);
      return this.#judge([tally]);
    } finally {
      rmSync(copy, { recursive: true });
    }
  }

  #judge(tallies: readonly Tally[]): boolean {
    const { isRight, text } = judged(tallies, this.#given.control !== 'none');
    this.#say(text);
    return isRight;
  }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
