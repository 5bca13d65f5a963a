import { isYardstick } from '../rows/yardstick.js';
import type { MeasuredCase } from './cases.js';
import { shortNumber } from './numbers.js';

const COLUMNS = 2;
const PANEL_WIDTH = 420;
const LABEL_WIDTH = 150;
const VALUE_WIDTH = 70;
const BAR_WIDTH = PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH - 20;
const ROW_HEIGHT = 22;
const BAR_HEIGHT = 14;
const TITLE_HEIGHT = 34;
const PANEL_GAP = 14;
const LEGEND_HEIGHT = 40;
const MARGIN = 12;

/** Nothing is drawn behind it, and its colours follow the reader's. */
const STYLE = `
  text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 13px; }
  .quiet { fill: #59636e; }
  .axis { stroke: #d1d9e0; }
  .walstack { fill: #0969da; }
  .peer { fill: #9a6700; }
  .yardstick { fill: #818b98; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .quiet { fill: #9198a1; }
    .axis { stroke: #3d444d; }
    .walstack { fill: #4493f8; }
    .peer { fill: #d29922; }
    .yardstick { fill: #656c76; }
  }`;

const LEGEND = [
  ['walstack', 'walstack'],
  ['peer', 'databases used as logs'],
  ['yardstick', 'yardsticks: the same work with nothing around it'],
] as const;

/** Bars for every case of a bench, each case on a scale of its own, from zero. An SVG file. */
export function chart(title: string, cases: readonly MeasuredCase[]): string {
  const lines: string[] = [];
  const bottoms: number[] = Array.from({ length: COLUMNS }, () => LEGEND_HEIGHT);
  for (const one of cases) {
    const column = bottoms.indexOf(Math.min(...bottoms));
    const top = bottoms[column] ?? 0;
    lines.push(...panel(one, MARGIN + column * PANEL_WIDTH, top));
    bottoms[column] = top + TITLE_HEIGHT + one.rows.length * ROW_HEIGHT + PANEL_GAP;
  }
  const width = 2 * MARGIN + Math.min(COLUMNS, cases.length) * PANEL_WIDTH;
  const size = `width="${Math.max(width, 640)}" height="${Math.max(...bottoms)}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}\n</style>`,
    ...legend(),
    ...lines,
    '</svg>\n',
  ].join('\n');
}

function legend(): string[] {
  let x = MARGIN;
  return LEGEND.flatMap(([kind, words]) => {
    const at = x;
    x += 40 + words.length * 6.5;
    return [
      `<rect class="${kind}" x="${at}" y="12" width="12" height="12" rx="2"/>`,
      `<text class="quiet" x="${at + 18}" y="22">${escaped(words)}</text>`,
    ];
  });
}

function panel({ name, unit, rows }: MeasuredCase, left: number, top: number): string[] {
  const most = Math.max(...rows.map(({ value }) => value));
  const barsLeft = left + LABEL_WIDTH;
  const barsTop = top + TITLE_HEIGHT;
  const bars = rows.flatMap(({ subject, value }, index) => {
    const y = barsTop + index * ROW_HEIGHT;
    const width = most > 0 ? (value / most) * BAR_WIDTH : 0;
    const textY = y + BAR_HEIGHT - 2;
    return [
      `<text x="${barsLeft - 8}" y="${textY}" text-anchor="end">${escaped(subject)}</text>`,
      `<rect class="${kindOf(subject)}" x="${barsLeft}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
      `<text x="${(barsLeft + width + 6).toFixed(1)}" y="${textY}">${shortNumber(value)}</text>`,
    ];
  });
  const bottom = barsTop + rows.length * ROW_HEIGHT - (ROW_HEIGHT - BAR_HEIGHT) + 2;
  return [
    `<text class="title" x="${left}" y="${top + 20}">${escaped(name)}<tspan class="quiet" font-weight="400" dx="8">${escaped(unitOf(unit))}</tspan></text>`,
    `<line class="axis" x1="${barsLeft - 0.5}" y1="${barsTop - 2}" x2="${barsLeft - 0.5}" y2="${bottom}"/>`,
    ...bars,
  ];
}

/** Rates and ratios are better when they are high; what is taken or waited for is not. */
const unitOf = (unit: string): string =>
  unit.endsWith('/s') || unit.startsWith('×') ? unit : `${unit}, less is better`;

const kindOf = (subject: string): (typeof LEGEND)[number][0] => {
  if (subject.startsWith('walstack/')) return 'walstack';
  return isYardstick(subject) ? 'yardstick' : 'peer';
};

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => ESCAPES[character] ?? character);
