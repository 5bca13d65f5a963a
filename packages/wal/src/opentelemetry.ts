/**
 * Metrics of logs for OpenTelemetry: messages on the diagnostics channels become counters and histograms, and the statistics
 * of single logs become gauges.
 *
 * ```ts
 * const metrics = new WalMetrics();
 * const wal = await Wal.open('data/orders');
 * metrics.observe(wal);
 * ```
 *
 * @packageDocumentation
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  type Attributes,
  type BatchObservableResult,
  type Meter,
  type MeterProvider,
  metrics,
  type Observable,
} from '@opentelemetry/api';
import { checkOptions } from '@walstack/codec/internal';
import { channels, type TypedChannel } from '@walstack/segmented';
import { commitChannel } from './diagnostics.js';
import type { WalStats } from './stats.js';

/** Options of {@link WalMetrics}. */
export interface WalMetricsOptions {
  /** Where the metrics go. Default: the provider that is registered with the OpenTelemetry API. */
  readonly meterProvider?: MeterProvider;
}

/** A log whose statistics are to be observed: a `Wal`. */
export interface ObservedLog {
  readonly directory: string;
  stats(): WalStats;
}

const DIRECTORY = 'walstack.directory';

/** Seconds: a durable write takes some 100 µs on a fast disk, and opening a large log after a crash a minute. */
const SECONDS = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10, 60,
];

/**
 * Converts the messages of all logs in this thread to metrics, from its construction until it is stopped. Each metric has
 * the attribute `walstack.directory`.
 */
export class WalMetrics {
  readonly #meter: Meter;
  readonly #gauges: readonly Gauge[];
  readonly #logs = new Set<ObservedLog>();
  readonly #stops: (() => void)[] = [];

  constructor(options: WalMetricsOptions = {}) {
    const { meterProvider = metrics.getMeterProvider() } = checkOptions('options', options, ['meterProvider']);
    this.#meter = meterProvider.getMeter('@walstack/wal');
    this.#countOpenings();
    this.#countCommits();
    this.#countSegments();
    this.#gauges = gaugesOf(this.#meter);
    const observables = this.#gauges.map(({ observable }) => observable);
    const observe = (result: BatchObservableResult): void => this.#observe(result);
    this.#meter.addBatchObservableCallback(observe, observables);
    this.#stops.push(() => this.#meter.removeBatchObservableCallback(observe, observables));
  }

  /**
   * Observes the statistics of a log whenever metrics are collected, until the log is closed.
   *
   * @returns a function that ends the observation
   */
  observe(log: ObservedLog): () => void {
    this.#logs.add(log);
    return () => {
      this.#logs.delete(log);
    };
  }

  /** Ends all metrics and observations. Idempotent. */
  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#logs.clear();
  }

  /** Ends all metrics and observations: {@link stop}. */
  [Symbol.dispose](): void {
    this.stop();
  }

  #countOpenings(): void {
    const opens = this.#meter.createCounter('walstack.opens', { unit: '{open}', description: 'Logs opened' });
    const seconds = this.#meter.createHistogram('walstack.open.duration', {
      unit: 's',
      description: 'How long opening a log took, with its recovery',
      advice: { explicitBucketBoundaries: SECONDS },
    });
    const records = this.#meter.createCounter('walstack.recovered.records', {
      unit: '{record}',
      description: 'Records found when logs were opened',
    });
    const cut = this.#meter.createCounter('walstack.recovered.cut', {
      unit: 'By',
      description: 'Bytes of torn tails that were cut off when logs were opened',
    });
    const errors = this.#meter.createCounter('walstack.errors', {
      unit: '{error}',
      description: 'Logs that could not be opened or failed for good, by error.type',
    });
    this.#on(channels.open, ({ directory, durationMs }) => {
      opens.add(1, { [DIRECTORY]: directory });
      seconds.record(durationMs / 1000, { [DIRECTORY]: directory });
    });
    this.#on(channels.recover, ({ directory, report }) => {
      records.add(report.records, { [DIRECTORY]: directory });
      cut.add(report.cutBytes, { [DIRECTORY]: directory });
    });
    this.#on(channels.error, ({ directory, operation, error }) => {
      errors.add(1, { [DIRECTORY]: directory, 'error.type': error.code, 'walstack.operation': operation });
    });
  }

  #countCommits(): void {
    const served = this.#meter.createCounter('walstack.commits', {
      unit: '{commit}',
      description: 'Commits that became durable',
    });
    const seconds = this.#meter.createHistogram('walstack.group.duration', {
      unit: 's',
      description: 'From the beginning of a group of commits until it was durable',
      advice: { explicitBucketBoundaries: SECONDS },
    });
    this.#on(commitChannel, ({ directory, commits, durationMs }) => {
      served.add(commits, { [DIRECTORY]: directory });
      if (durationMs !== undefined) seconds.record(durationMs / 1000, { [DIRECTORY]: directory });
    });
  }

  #countSegments(): void {
    const count = (name: string, description: string) =>
      this.#meter.createCounter(name, { unit: '{segment}', description });
    const rolls = count('walstack.rolls', 'Segments that were followed by a next one');
    const recycled = count('walstack.segments.recycled', 'Segments that were made of a freed file');
    const freed = count('walstack.segments.freed', 'Segments that truncation removed or kept for reuse');
    this.#on(channels.roll, ({ directory }) => rolls.add(1, { [DIRECTORY]: directory }));
    this.#on(channels.recycle, ({ directory }) => recycled.add(1, { [DIRECTORY]: directory }));
    this.#on(channels.truncate, ({ directory, segmentsDeleted, segmentsRecycled }) => {
      freed.add(segmentsDeleted + segmentsRecycled, { [DIRECTORY]: directory });
    });
  }

  #on<Message>({ name }: TypedChannel<Message>, listener: (message: Message) => void): void {
    // A channel passes on the published message, and only messages of this type are published on this channel.
    const untyped = (message: unknown): void => listener(message as Message);
    subscribe(name, untyped);
    this.#stops.push(() => unsubscribe(name, untyped));
  }

  #observe(result: BatchObservableResult): void {
    for (const log of this.#logs) {
      const stats = log.stats();
      if (stats.state === 'closed') this.#logs.delete(log);
      const attributes: Attributes = { [DIRECTORY]: log.directory };
      for (const { observable, valueIn } of this.#gauges) result.observe(observable, valueIn(stats), attributes);
    }
  }
}

/** A figure that is read from the statistics of a log. */
interface Gauge {
  readonly observable: Observable;
  readonly valueIn: (stats: WalStats) => number;
}

function gaugesOf(meter: Meter): readonly Gauge[] {
  const total = (name: string, unit: string, description: string): Observable =>
    meter.createObservableCounter(name, { unit, description });
  const gauge = (name: string, unit: string, description: string): Observable =>
    meter.createObservableGauge(name, { unit, description });
  return [
    { observable: total('walstack.records', '{record}', 'Records appended'), valueIn: ({ records }) => records },
    { observable: total('walstack.written', 'By', 'Bytes written'), valueIn: ({ bytesWritten }) => bytesWritten },
    { observable: total('walstack.syncs', '{sync}', 'Syncs and durable writes'), valueIn: ({ syncs }) => syncs },
    { observable: gauge('walstack.size', 'By', 'Bytes of all segments'), valueIn: ({ sizeBytes }) => sizeBytes },
    { observable: gauge('walstack.segments', '{segment}', 'Segments'), valueIn: ({ segments }) => segments },
    {
      observable: gauge('walstack.pending', 'By', 'Bytes appended and not yet written'),
      valueIn: ({ pendingBytes }) => pendingBytes,
    },
    {
      observable: gauge('walstack.durable_lag', '{record}', 'Records appended and not yet durable'),
      valueIn: ({ lastLsn, durableLsn }) => lastLsn - durableLsn,
    },
    {
      observable: gauge('walstack.waiting', '{commit}', 'Commits that wait for durability or for room'),
      valueIn: ({ waitingCommits, waitingForRoom }) => waitingCommits + waitingForRoom,
    },
  ];
}
