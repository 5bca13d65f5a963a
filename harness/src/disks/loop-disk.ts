import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** What a {@link LoopDisk} can be formatted with. */
export type LoopDiskType = 'btrfs' | 'ext4' | 'xfs';

const MAKE: Readonly<Record<LoopDiskType, readonly string[]>> = {
  btrfs: ['mkfs.btrfs', '-q', '-f'],
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
};

/** The smallest that all of them take. */
const BYTES = 400 * 1024 * 1024;

/** Where in `/sys/block/…/stat` the flushes are that the disk has carried out. */
const FLUSHES_FIELD = 15;

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
  return stdout.trim();
}

/** A file system on a disk of its own, which is a file. Needs root. */
export class LoopDisk {
  /** Where it is mounted. */
  readonly path: string;
  readonly #base: string;
  readonly #device: string;
  #overlays = 0;

  private constructor(base: string, device: string) {
    this.#base = base;
    this.path = join(base, 'mount');
    this.#device = device;
  }

  static make(type: LoopDiskType): LoopDisk {
    const base = mkdtempSync(join(tmpdir(), `walstack-${type}-`));
    const image = join(base, 'image');
    let device: string | undefined;
    try {
      writeFileSync(image, '');
      truncateSync(image, BYTES);
      device = run('losetup', '--find', '--show', image);
      const disk = new LoopDisk(base, device);
      mkdirSync(disk.path);
      const [command = '', ...args] = MAKE[type];
      run(command, ...args, device);
      run('mount', '-t', type, device, disk.path);
      return disk;
    } catch (error) {
      if (device !== undefined) run('losetup', '--detach', device);
      rmSync(base, { recursive: true, force: true });
      throw error;
    }
  }

  /** Flushes that the disk has carried out by now. */
  get flushes(): number {
    const fields = readFileSync(`/sys/block/${basename(this.#device)}/stat`, 'utf8')
      .trim()
      .split(/\s+/);
    return Number(fields[FLUSHES_FIELD]);
  }

  /** Mounts an overlay whose upper directory is on this disk, and returns where. It goes when the disk does. */
  overlay(...options: string[]): string {
    this.#overlays += 1;
    const at = (name: string): string => join(this.path, `overlay ${this.#overlays}`, name);
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(at(name), { recursive: true });
    const directories = [`lowerdir=${at('lower')}`, `upperdir=${at('upper')}`, `workdir=${at('work')}`];
    run('mount', '-t', 'overlay', 'overlay', '-o', [...directories, ...options].join(','), at('merged'));
    return at('merged');
  }

  remove(): void {
    run('umount', '--recursive', '--lazy', this.path);
    run('losetup', '--detach', this.#device);
    rmSync(this.#base, { recursive: true, force: true });
  }
}

/** Why there is no {@link LoopDisk} of a type here, in one sentence; `undefined` when there is. Makes one to find out. */
export function loopDiskUnavailable(type: LoopDiskType): string | undefined {
  try {
    statSync('/dev/loop-control');
    LoopDisk.make(type).remove();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
