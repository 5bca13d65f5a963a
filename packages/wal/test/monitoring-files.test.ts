import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { WalMetrics } from '@walstack/wal/opentelemetry';
import { beforeAll, describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';

const folder = fileURLToPath(new URL('../../../docs/monitoring', import.meta.url));
const textOf = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8');

/** What the exporter of OpenTelemetry makes for Prometheus of everything that a log can report. */
async function exported(): Promise<string> {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const metrics = new WalMetrics({ meterProvider });
  const io = createMemoryStorageIo();
  const options = { io, segmentBytes: 4096, blockBytes: 512, preallocate: 'write', recycleSegments: 1 } as const;
  await rejection(Wal.open('/log', { ...options, create: false }));
  await (await Wal.open('/log', options)).shutdown();
  const wal = await Wal.open('/log', options);
  metrics.observe(wal);
  for (let each = 0; each < 50; each++) await wal.truncateBefore(await wal.commit(new Uint8Array(1000)));
  await reader.forceFlush();
  const [collected] = exporter.getMetrics().slice(-1);
  await wal.shutdown();
  metrics.stop();
  await meterProvider.shutdown();
  await io.dispose();
  if (collected === undefined) throw new Error('nothing was collected');
  return new PrometheusSerializer().serialize(collected);
}

/** The series that these files use. */
const seriesIn = (text: string): Set<string> => new Set(text.match(/\bwalstack_\w+(?=[{[)\s,]|$)/gm));

/** The names of labels in selectors, and of those by which series are joined. */
const labelsIn = (text: string): Set<string> => {
  const selectors = [...text.matchAll(/\{([^{}]*)\}/g)].flatMap(
    ([, inside = '']) => inside.match(/\w+(?=[!=]?[=~])/g) ?? [],
  );
  const groupings = [...text.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, inside = '']) => inside.split(/,\s*/));
  return new Set([...selectors, ...groupings]);
};

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly gridPos: { readonly x: number; readonly w: number };
    readonly targets: readonly { readonly expr: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly name: string }[] };
}

const rules = textOf('prometheus-rules.yaml');
const expressions = rules
  .split('\n')
  .filter((line) => !/^ *(?:#|summary:|description:|- record:|- alert:|- name:)/.test(line))
  .join('\n');
const dashboard: Dashboard = JSON.parse(textOf('grafana-dashboard.json'));
const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n');

let series: Set<string>;
let labels: Set<string>;
beforeAll(async () => {
  const text = await exported();
  series = new Set([...text.matchAll(/^(walstack_\w+)\{/gm)].map(([, name = '']) => name));
  labels = new Set([...text.matchAll(/[{,](\w+)="/g)].map(([, name = '']) => name));
});

describe.each([
  ['prometheus-rules.yaml', expressions],
  ['grafana-dashboard.json', queries],
])('docs/monitoring/%s', (_name, text) => {
  test('uses series that are exported', () => {
    const used = [...seriesIn(text)].filter((name) => name !== 'walstack_directory' && name !== 'walstack_operation');
    expect(used.length).toBeGreaterThan(5);
    expect(used.filter((name) => !series.has(name))).toEqual([]);
  });

  test('uses labels that they have', () => {
    const used = labelsIn(text);
    expect(used).toContain('walstack_directory');
    expect([...used].filter((name) => !labels.has(name))).toEqual([]);
  });
});

test('the dashboard shows every metric', () => {
  const shown = [...series].filter((name) => !/_(?:bucket|sum|count)$/.test(name) || name.endsWith('_bucket'));
  expect(shown.filter((name) => !queries.includes(name))).toEqual([]);
});

test('the panels of the dashboard have ids of their own, and fit', () => {
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { gridPos } of dashboard.panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  expect(dashboard.templating.list.map(({ name }) => `$${name}`)).toEqual(['$datasource', '$directory']);
});

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
test.skipIf(!hasPromtool)('the rules give the alerts that promtool expects', () => {
  const output = execFileSync('promtool', ['test', 'rules', 'prometheus-rules.test.yaml'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(output).toContain('SUCCESS');
});
