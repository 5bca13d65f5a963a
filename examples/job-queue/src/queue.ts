import { mkdir } from 'node:fs/promises';
import { Wal } from '@walstack/wal';
import { followerOf, type Job, jobsIn } from './job.js';

/** The side that adds jobs: one process at a time. Workers in other processes follow the same log. */
export class JobQueue {
  readonly #wal: Wal<Job>;
  readonly #shards: number;

  private constructor(wal: Wal<Job>, shards: number) {
    this.#wal = wal;
    this.#shards = shards;
  }

  /** @param shards - how many workers share the jobs; the same in each opening */
  static async open(directory: string, shards: number): Promise<JobQueue> {
    await mkdir(directory, { recursive: true });
    const wal = await Wal.open<Job>(jobsIn(directory), { encoding: 'json', segmentBytes: 64 * 1024 });
    return new JobQueue(wal, shards);
  }

  /** Adds a job; jobs with the same key are done in order, by the same worker. @returns its id: the job is durable */
  async add(task: unknown, key: string): Promise<number> {
    return await this.#wal.commit({ task }, { vshardId: shardOf(key, this.#shards) });
  }

  /**
   * Removes the jobs that were done. It asks for everything to be removed, and the log keeps what a worker has not acknowledged,
   * running or not.
   *
   * @returns how many jobs some worker still has to do, or to skip as they are not of its shard
   */
  async trim(): Promise<number> {
    const followers = await this.#wal.followers();
    const names = new Set(followers.map(({ name }) => name));
    // The log keeps nothing for a worker that has never run.
    for (let shard = 0; shard < this.#shards; shard++) if (!names.has(followerOf(shard))) return this.#wal.lastLsn;
    await this.#wal.truncateBefore(this.#wal.lastLsn + 1);
    return Math.max(...followers.map(({ lagRecords }) => lagRecords));
  }

  /** The LSN of the first job that is kept, and of the last one. */
  get range(): readonly [firstLsn: number, lastLsn: number] {
    return [this.#wal.firstLsn, this.#wal.lastLsn];
  }

  async close(): Promise<void> {
    await this.#wal.shutdown();
  }
}

/** The worker for a key, by FNV-1a (Fowler, Noll, Vo). */
function shardOf(key: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash % shards;
}
