import type { AlignedData } from 'uplot';
import type { Earlier } from '../sample-messages.js';
import type { Sample } from '../sampler.js';
import { Chart, type Line } from './chart.js';
import { connect } from './connection.js';
import { element } from './element.js';
import { showState } from './state.js';

/** How many samples are shown. */
const SHOWN_MAX = 300;

const NUMBER = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const MILLISECONDS = new Intl.NumberFormat('en', { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const count = (value: number): string => NUMBER.format(value);
const milliseconds = (value: number): string => `${MILLISECONDS.format(value)} ms`;

const charts = {
  commits: new Chart('chart-commits'),
  latency: new Chart('chart-latency'),
  lag: new Chart('chart-lag'),
  segments: new Chart('chart-segments'),
  lsn: new Chart('chart-lsn'),
};

let samples: Sample[] = [];

/** A line with its value in each sample. */
type Series = readonly [Line, (sample: Sample) => number | undefined];

function show(chart: Chart, ...series: readonly Series[]): void {
  const times = samples.map(({ atMs }) => atMs / 1000);
  const values = series.map(([, value]) => samples.map((sample) => value(sample) ?? null));
  const lines = series.map(([line]) => line);
  chart.show(lines, [times, ...values] as AlignedData);
}

function showSamples(): void {
  const last = samples.at(-1);
  if (last === undefined) return;
  showState(last.state, last.failure);
  showNumbers(last);
  showFollowers(last);
  show(charts.commits, [{ label: 'commits/s', format: count }, (sample) => sample.commitsPerSecond]);
  show(
    charts.latency,
    [{ label: 'median', format: milliseconds }, ({ latencyMs }) => latencyMs?.p50],
    [{ label: '95 %', format: milliseconds }, ({ latencyMs }) => latencyMs?.p95],
    [{ label: '99 %', format: milliseconds }, ({ latencyMs }) => latencyMs?.p99],
  );
  const names = [...new Set(samples.flatMap(({ followers }) => followers.map(({ name }) => name)))];
  const lags = names.map((name): Series => {
    const lag = ({ followers }: Sample) => followers.find((each) => each.name === name)?.lagRecords;
    return [{ label: name, format: count }, lag];
  });
  show(charts.lag, ...lags);
  show(charts.segments, [{ label: 'segments', format: count }, (sample) => sample.segments]);
  show(charts.lsn, [{ label: 'LSN', format: count }, (sample) => sample.durableLsn]);
}

function showNumbers(last: Sample): void {
  const texts: Readonly<Record<string, string>> = {
    'commits-per-second': count(last.commitsPerSecond),
    commits: count(last.commits),
    p99: last.latencyMs === undefined ? '–' : milliseconds(last.latencyMs.p99),
    'durable-lsn': count(last.durableLsn),
    segments: count(last.segments),
    size: `${MILLISECONDS.format(last.sizeBytes / 2 ** 20)} MiB`,
  };
  for (const [id, text] of Object.entries(texts)) element(id).textContent = text;
}

function showFollowers({ followers }: Sample): void {
  const rows = followers.map(({ name, lagRecords }) => {
    const row = document.createElement('tr');
    for (const text of [name, count(lagRecords)]) row.insertCell().textContent = text;
    return row;
  });
  element('followers').replaceChildren(...rows);
}

connect({
  connected: ({ samples: earlier }: Earlier) => {
    // Those of the process before stay, with what this one has sampled behind them.
    const begin = earlier[0]?.atMs ?? 0;
    samples = [...samples.filter(({ atMs }) => atMs < begin), ...earlier].slice(-SHOWN_MAX);
    showSamples();
  },
  sampled: (sample) => {
    samples = [...samples, sample].slice(-SHOWN_MAX);
    showSamples();
  },
  disconnected: () => showState('disconnected'),
});

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const chart of Object.values(charts)) chart.draw();
});
