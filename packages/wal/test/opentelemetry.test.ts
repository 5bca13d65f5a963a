import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { WalMetrics } from '@walstack/wal/opentelemetry';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';

let io: StorageIo;
let directory: string;

beforeEach(() => {
  io = createSyncFsStorageIo();
  directory = directoryFor(io);
});

afterEach(() => io.dispose());

/** The real SDK, and what it has collected. */
class Sdk {
  readonly #exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  readonly #reader = new PeriodicExportingMetricReader({ exporter: this.#exporter, exportIntervalMillis: 3_600_000 });
  readonly provider = new MeterProvider({ readers: [this.#reader] });

  constructor() {
    onTestFinished(() => this.provider.shutdown());
  }

  async collect(): Promise<Map<string, MetricData>> {
    this.#exporter.reset();
    await this.#reader.forceFlush();
    const collected = this.#exporter.getMetrics().at(-1)?.scopeMetrics ?? [];
    return new Map(collected.flatMap((scope) => scope.metrics).map((metric) => [metric.descriptor.name, metric]));
  }
}

/** Name and value of each data point of one log. */
async function valuesOf(sdk: Sdk, of = directory): Promise<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  for (const [name, { dataPoints }] of await sdk.collect()) {
    for (const { attributes, value } of dataPoints) if (attributes['walstack.directory'] === of) values[name] = value;
  }
  return values;
}

test('messages of logs on real files become metrics in the SDK', async () => {
  const sdk = new Sdk();
  using walMetrics = new WalMetrics({ meterProvider: sdk.provider });
  const options = { io, segmentBytes: 4096, blockBytes: 512, recycleSegments: 0 };
  const wal = await Wal.open(directory, options);
  walMetrics.observe(wal);
  for (let each = 0; each < 10; each++) await Promise.all([wal.commit('x'.repeat(500)), wal.commit('y')]);
  const { segmentsDeleted } = await wal.truncateBefore(18);
  wal.append('not durable');

  const stats = wal.stats();
  const values = await valuesOf(sdk);
  expect(values).toMatchObject({
    'walstack.opens': 1,
    'walstack.commits': 20,
    'walstack.rolls': stats.rolls,
    'walstack.segments.freed': segmentsDeleted,
    'walstack.records': 21,
    'walstack.written': stats.bytesWritten,
    'walstack.syncs': stats.syncs,
    'walstack.size': stats.sizeBytes,
    'walstack.segments': stats.segments,
    'walstack.pending': stats.pendingBytes,
    'walstack.durable_lag': 1,
    'walstack.waiting': 0,
    'walstack.group.duration': { count: 10, sum: expect.any(Number) },
    'walstack.open.duration': { count: 1 },
  });
  expect(segmentsDeleted).toBeGreaterThan(0);
  expect(stats.pendingBytes).toBeGreaterThan(0);
  await wal.shutdown();

  const again = await Wal.open(directory, options);
  const { records } = again.recovery;
  expect(await valuesOf(sdk)).toMatchObject({
    'walstack.opens': 2,
    'walstack.recovered.records': records,
    'walstack.recovered.cut': 0,
  });
  await again.shutdown();
});

test('durations are in seconds, in buckets that distinguish a fast disk from a slow one', async () => {
  const sdk = new Sdk();
  using _walMetrics = new WalMetrics({ meterProvider: sdk.provider });
  await using wal = await Wal.open(directory, { io });
  await wal.commit('a');
  const duration = (await sdk.collect()).get('walstack.group.duration');
  expect(duration?.descriptor).toMatchObject({ unit: 's', advice: { explicitBucketBoundaries: expect.any(Array) } });
  const [point] = duration?.dataPoints ?? [];
  expect(point?.value).toMatchObject({ count: 1, buckets: { boundaries: expect.arrayContaining([0.0001, 0.001, 1]) } });
});

test('errors are counted by their code', async () => {
  const sdk = new Sdk();
  using _walMetrics = new WalMetrics({ meterProvider: sdk.provider });
  expect(await rejection(Wal.open(directory, { io, create: false }))).toMatchObject({ code: 'WAL_NOT_FOUND' });
  const [point] = (await sdk.collect()).get('walstack.errors')?.dataPoints ?? [];
  expect(point).toMatchObject({
    value: 1,
    attributes: { 'walstack.directory': directory, 'error.type': 'WAL_NOT_FOUND', 'walstack.operation': 'open' },
  });
});

test('a log is observed until it is closed or its observation ends', async () => {
  const sdk = new Sdk();
  using walMetrics = new WalMetrics({ meterProvider: sdk.provider });
  const logs = [await Wal.open(directory, { io }), await Wal.open(directoryFor(io), { io })] as const;
  const asked = [0, 0];
  const ends = logs.map((wal, index) =>
    walMetrics.observe({
      directory: wal.directory,
      stats: () => {
        asked[index] = (asked[index] ?? 0) + 1;
        return wal.stats();
      },
    }),
  );
  await sdk.collect();
  expect(asked).toEqual([1, 1]);
  ends[0]?.();
  await sdk.collect();
  expect(asked).toEqual([1, 2]);
  for (const wal of logs) await wal.shutdown();
  for (let each = 0; each < 3; each++) await sdk.collect();
  expect(asked).toEqual([1, 3]);
});

test('after stop it receives nothing', async () => {
  const sdk = new Sdk();
  const walMetrics = new WalMetrics({ meterProvider: sdk.provider });
  walMetrics.stop();
  walMetrics.stop();
  await using wal = await Wal.open(directory, { io });
  await wal.commit('a');
  expect(await valuesOf(sdk)).toEqual({});
});

test('without a provider it uses the registered one', async () => {
  const sdk = new Sdk();
  metrics.setGlobalMeterProvider(sdk.provider);
  onTestFinished(() => metrics.disable());
  using _walMetrics = new WalMetrics();
  await using wal = await Wal.open(directory, { io });
  await wal.commit('a');
  expect(await valuesOf(sdk)).toMatchObject({ 'walstack.commits': 1 });
  expect(() => new WalMetrics({ provider: sdk.provider } as never)).toThrow(TypeError);
});
