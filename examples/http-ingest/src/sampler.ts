import { createHistogram, performance } from 'node:perf_hooks';
import { channels, type Wal, type WalState } from '@walstack/wal';

/** How far a follower is behind. */
interface Lag {
  readonly name: string;
  readonly lagRecords: number;
}

/** What the page shows of a moment. */
export interface Sample {
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  /** `'full'`: running, and events find no room on the disk. */
  readonly state: WalState | 'full';
  /** The code of the failure for which the log accepts nothing more. */
  readonly failure: string | undefined;
  /** Since the server was started. */
  readonly commits: number;
  readonly commitsPerSecond: number;
  /** Of the POSTs since the sample before, in milliseconds; `undefined` where there were none. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number } | undefined;
  readonly segments: number;
  readonly sizeBytes: number;
  readonly firstLsn: number;
  readonly durableLsn: number;
  readonly followers: readonly Lag[];
}

/** How many samples are kept for a page that is opened. */
const KEPT_MAX = 300;

/** Samples the log again and again. */
export class Sampler {
  readonly #wal: Wal<unknown, never>;
  readonly #latencies = createHistogram();
  readonly #listeners = new Set<(sample: Sample) => void>();
  readonly #timer: NodeJS.Timeout;
  readonly #kept: Sample[] = [];
  #isSampling = false;
  #commits = 0;
  #commitsBefore = 0;
  #sampledAt = performance.now();

  private constructor(wal: Wal<unknown, never>, everyMs: number) {
    this.#wal = wal;
    channels.commit.subscribe(this.#count);
    this.#timer = setInterval(() => void this.#sample(), everyMs);
  }

  /** Begins with a first sample. */
  static async start(wal: Wal<unknown, never>, everyMs: number): Promise<Sampler> {
    const sampler = new Sampler(wal, everyMs);
    await sampler.#sample();
    return sampler;
  }

  readonly #count = ({ directory, commits }: { readonly directory: string; readonly commits: number }): void => {
    if (directory === this.#wal.directory) this.#commits += commits;
  };

  /** The samples of the last minutes, the earliest first. */
  get samples(): readonly Sample[] {
    return this.#kept;
  }

  /** Records how long a POST has waited for its events to be durable. */
  recordLatency(ms: number): void {
    // In microseconds; the histogram takes whole numbers from 1 on.
    this.#latencies.record(Math.max(1, Math.round(ms * 1000)));
  }

  /** Calls `listener` with each new sample. @returns what ends that */
  listen(listener: (sample: Sample) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    clearInterval(this.#timer);
    channels.commit.unsubscribe(this.#count);
  }

  async #sample(): Promise<void> {
    if (this.#isSampling) return;
    this.#isSampling = true;
    // Where they are now; a log that is being closed only knows where they were.
    const followers = await this.#wal.followers().catch(() => this.#wal.stats().followers);
    this.#isSampling = false;
    const now = performance.now();
    const stats = this.#wal.stats();
    const seconds = (now - this.#sampledAt) / 1000;
    const sample: Sample = {
      atMs: Date.now(),
      state: stats.state === 'running' && stats.waitsForSpace ? 'full' : stats.state,
      failure: this.#wal.failure?.code,
      commits: this.#commits,
      commitsPerSecond: seconds > 0 ? (this.#commits - this.#commitsBefore) / seconds : 0,
      latencyMs: this.#latencyMs(),
      segments: stats.segments,
      sizeBytes: stats.sizeBytes,
      firstLsn: stats.firstLsn,
      durableLsn: stats.durableLsn,
      followers: lagsOf(followers),
    };
    this.#commitsBefore = this.#commits;
    this.#sampledAt = now;
    this.#kept.push(sample);
    if (this.#kept.length > KEPT_MAX) this.#kept.shift();
    for (const listener of this.#listeners) listener(sample);
  }

  #latencyMs(): Sample['latencyMs'] {
    if (this.#latencies.count === 0) return undefined;
    const [p50 = 0, p95 = 0, p99 = 0] = [50, 95, 99].map((percent) => this.#latencies.percentile(percent) / 1000);
    this.#latencies.reset();
    return { p50, p95, p99 };
  }
}

/** Followers by their names; those without one are streams, of which the slowest counts. */
function lagsOf(followers: ReturnType<Wal['stats']>['followers']): Lag[] {
  const named = followers.flatMap(({ name, lagRecords }) => (name === undefined ? [] : [{ name, lagRecords }]));
  const streams = followers.filter(({ name }) => name === undefined).map(({ lagRecords }) => lagRecords);
  return streams.length === 0 ? named : [...named, { name: 'event streams', lagRecords: Math.max(...streams) }];
}
