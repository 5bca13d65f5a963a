import { join } from 'node:path';
import { ForgetFs, type ForgetFsOptions } from '../../fuse/forgetfs.js';
import type { Random } from '../../random.js';

/** Ways in which a FUSE file system can be mounted. */
const MOUNTS: readonly ForgetFsOptions[] = [
  {},
  { directIo: true },
  { asyncDirect: false },
  { writeback: true },
  { fallocate: false },
];

/** A file system that loses what was not synced when the power goes. Linux with FUSE, and root, only. */
export class ForgetfulDisk implements AsyncDisposable {
  readonly #fs: ForgetFs;
  readonly #options: ForgetFsOptions;

  private constructor(fs: ForgetFs, options: ForgetFsOptions) {
    this.#fs = fs;
    this.#options = options;
  }

  static async mount(random: Random): Promise<ForgetfulDisk> {
    const options = random.pick(MOUNTS);
    const disk = new ForgetfulDisk(await ForgetFs.mount(options), options);
    disk.#slowDown(random);
    return disk;
  }

  /** Where the log is. */
  get directory(): string {
    return join(this.#fs.path, 'log');
  }

  /** Takes the power away: nothing on the disk works any more, and what was not synced is lost. */
  cut(): void {
    this.#fs.cut();
  }

  /** Turns it on again, behind {@link cut}. Nothing uses the disk by then. */
  async restore(random: Random): Promise<void> {
    await this.#fs.remount(this.#options);
    this.#slowDown(random);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fs.unmount();
  }

  /** Some disks need their time for a sync, and some writes come later than others: more is under way when the power goes. */
  #slowDown(random: Random): void {
    if (random.chance(0.3)) this.#fs.delay(random.integer(1, 5), { operation: 'sync', times: 0 });
    if (random.chance(0.2)) this.#fs.delay(random.integer(1, 3), { operation: 'write', times: 0, pattern: '*.seg' });
  }
}
