import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of each core, how many puts there are up to some place. A core that is not in it has none. */
export type Counts = ReadonlyMap<number, number>;

const NAME = /^snapshot-(\d+)$/;

/** The snapshots of checkpoints, beside the log of cores: each says how many puts it stands for. */
export class Snapshots {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes a snapshot, durably. */
  write(id: number, counts: Counts): void {
    if (this.#ids().includes(id)) throw new Error(`two checkpoints have the number ${id}`);
    const draft = join(this.#folder, 'snapshot.new');
    writeFileSync(draft, JSON.stringify([...counts]), { flush: true });
    renameSync(draft, this.#path(id));
    const folder = openSync(this.#folder, 'r');
    fsyncSync(folder);
    closeSync(folder);
  }

  /** What the snapshot of a checkpoint stands for. */
  read(id: number): Counts {
    return new Map(JSON.parse(readFileSync(this.#path(id), 'utf8')) as [number, number][]);
  }

  /** Removes those that a checkpoint has replaced. */
  removeBefore(id: number): void {
    for (const earlier of this.#ids().filter((each) => each < id)) rmSync(this.#path(earlier));
  }

  #ids(): number[] {
    const numbers = readdirSync(this.#folder).map((name) => NAME.exec(name)?.[1]);
    return numbers.filter((number) => number !== undefined).map(Number);
  }

  #path(id: number): string {
    return join(this.#folder, `snapshot-${id}`);
  }
}
