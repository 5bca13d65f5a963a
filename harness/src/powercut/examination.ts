import { join } from 'node:path';
import { Random } from '../random.js';
import { type Honours, RecordedDisk } from './cut/recorded-disk.js';
import { SparseImage } from './cut/sparse-image.js';
import { survivorsOf, withWholeBlocks } from './cut/survivors.js';
import { MountError, MountedImage } from './file-systems.js';
import { type Finding, Inspection } from './inspection.js';
import { baseOf, DiskRecord } from './record/disk-record.js';
import { type DiskEvent, isAcknowledgement } from './record/events.js';

/** What came of an image: `unmountable` is one of which the file system itself is broken. */
export interface ImageFinding {
  readonly image: number;
  readonly cut: number;
  /** Whether blocks of 4 KiB were torn where that was left to chance; not when it mounts only with whole ones. */
  readonly tornBlocks: boolean;
  readonly verdict: Finding['verdict'] | 'unmountable';
  readonly text: string;
}

/** When the power is cut, and what is left to chance about it. */
interface Cut {
  readonly image: number;
  readonly at: number;
  readonly random: Random;
}

/** How many images are written on and looked at again. */
const GOES_ON = 0.1;

/** Makes images of a record, each with the power cut at some moment, and looks at the logs on them. */
export class Examination {
  readonly #image: string;
  readonly #mount: string;
  readonly #record: DiskRecord;
  readonly #disk: RecordedDisk;
  readonly #durable: SparseImage;

  /** @param folder - of the record */
  constructor(folder: string, honours: Honours) {
    this.#image = join(folder, 'cut.image');
    this.#mount = join(folder, 'mount');
    this.#record = new DiskRecord(folder);
    const base = SparseImage.open(baseOf(folder));
    this.#durable = base.copyTo(join(folder, 'durable.image'));
    base.close();
    this.#disk = new RecordedDisk(this.#record.events, this.#record.bytesAt, this.#durable, honours);
  }

  get record(): DiskRecord {
    return this.#record;
  }

  /** Looks at the images with these numbers, in the order of their moments. */
  async *images(numbers: readonly number[], stopped: () => boolean): AsyncGenerator<ImageFinding> {
    const cuts = numbers.map((image) => this.#cutOf(image)).sort((a, b) => a.at - b.at);
    for (const cut of cuts) {
      if (stopped()) return;
      yield await this.#look(cut);
    }
  }

  /**
   * The image of a disk for the next guest, with the power cut late in this record; blocks of 4 KiB are whole where the file
   * system does not mount with torn ones.
   *
   * @returns what each log had reported
   */
  async makeBase(path: string): Promise<string[][]> {
    const random = new Random(this.#record.facts.seed);
    const { length } = this.#record.events;
    const at = random.integer(Math.floor(length / 2), length);
    this.#disk.advance(at);
    const survivors = survivorsOf(this.#disk.volatile, random);
    // Tried with a copy: the recovery of the file system is the guest's.
    this.#disk.cut(this.#image, survivors);
    this.#disk.cut(path, (await this.#mounts()) ? survivors : withWholeBlocks(survivors));
    return this.#record.facts.logs.map((_, log) => this.#record.linesBefore(at, log));
  }

  close(): void {
    this.#durable.close();
    this.#record.close();
  }

  /** Half of the moments are those behind something that was acknowledged: then there is the most to lose. */
  #cutOf(image: number): Cut {
    const random = new Random(this.#record.facts.seed, image + 1);
    const { events } = this.#record;
    let at = random.integer(0, events.length);
    if (random.chance(0.5)) {
      while (at < events.length && !isAcknowledgement(events[at] as DiskEvent)) at++;
      at = Math.min(at + 1, events.length);
    }
    return { image, at, random };
  }

  async #look({ image, at, random }: Cut): Promise<ImageFinding> {
    this.#disk.advance(at);
    const survivors = survivorsOf(this.#disk.volatile, random);
    this.#disk.cut(this.#image, survivors);
    const inspections = this.#record.facts.logs.map(
      (plan, log) => new Inspection(plan, this.#record.runsOf(log, at), join(this.#mount, plan.name), random),
    );
    let tornBlocks = true;
    try {
      let mounted: MountedImage;
      try {
        mounted = this.#mounted();
      } catch {
        // Not every file system survives blocks of its own that are torn: then none is.
        tornBlocks = false;
        this.#disk.cut(this.#image, withWholeBlocks(survivors));
        mounted = this.#mounted();
      }
      const goesOn = random.chance(GOES_ON);
      await lookAt(inspections, mounted, goesOn);
      if (goesOn) await lookAt(inspections, this.#mounted(), false);
    } catch (error) {
      if (!(error instanceof MountError)) throw error;
      return { image, cut: at, tornBlocks, verdict: 'unmountable', text: error.message };
    }
    const findings = inspections.map(({ finding }) => finding);
    const worst = findings.find(({ verdict }) => verdict !== 'kept') ?? { verdict: 'kept', text: '' };
    return { image, cut: at, tornBlocks, ...worst };
  }

  async #mounts(): Promise<boolean> {
    try {
      await this.#mounted().unmount();
      return true;
    } catch (error) {
      if (!(error instanceof MountError)) throw error;
      return false;
    }
  }

  #mounted(): MountedImage {
    return new MountedImage(this.#record.facts.fileSystem, this.#image, this.#mount);
  }
}

async function lookAt(inspections: readonly Inspection[], mounted: MountedImage, goesOn: boolean): Promise<void> {
  try {
    for (const inspection of inspections) await inspection.look(goesOn);
  } finally {
    await mounted.unmount();
  }
}
