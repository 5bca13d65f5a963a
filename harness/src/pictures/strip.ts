import type { Fate, Outcome, Scene } from './scenes.js';

const CELL_WIDTH = 70;
const CELL_HEIGHT = 38;
const MARGIN = 12;
const WIDTH = 2 * MARGIN + 6 * CELL_WIDTH;
const ROW_HEIGHT = 66;
const TITLE_HEIGHT = 28;
const LINE_HEIGHT = 17;
const CHARACTERS = 54;

/** Its colours follow the reader's. */
const STYLE = `
  .ground { fill: #ffffff; }
  text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 13px; }
  .quiet, .small { fill: #59636e; }
  .small { font-size: 10px; }
  rect { rx: 4px; stroke-width: 1.5px; }
  .good { fill: #ddf4ff; stroke: #0969da; }
  .bad { fill: #ffebe9; stroke: #cf222e; }
  .gone { fill: none; stroke: #818b98; stroke-dasharray: 4 3; }
  .part { fill: #fff8c5; stroke: #9a6700; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; }
    text { fill: #f0f6fc; }
    .quiet, .small { fill: #9198a1; }
    .good { fill: #121d2f; stroke: #4493f8; }
    .bad { fill: #2d1416; stroke: #f85149; }
    .gone { stroke: #656c76; }
    .part { fill: #272115; stroke: #d29922; }
  }`;

const FOUND = {
  whole: ['good', 'whole'],
  torn: ['part', 'torn'],
  missing: ['gone', 'missing'],
  damaged: ['bad', 'damaged'],
} as const;

const AFTER = {
  kept: ['good', 'kept'],
  cut: ['gone', 'cut off'],
  'given up': ['gone', 'given up'],
  hole: ['bad', 'hole'],
  refused: ['gone', 'untouched'],
} as const;

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** One box with two lines of text. */
function cell(index: number, top: number, kind: string, first: string, second: string): string {
  const left = MARGIN + index * CELL_WIDTH;
  const middle = left + CELL_WIDTH / 2 - 3;
  return [
    `<rect class="${kind}" x="${left}" y="${top}" width="${CELL_WIDTH - 6}" height="${CELL_HEIGHT}"/>`,
    `<text x="${middle}" y="${top + 16}" text-anchor="middle">${first}</text>`,
    `<text class="small" x="${middle}" y="${top + 30}" text-anchor="middle">${second}</text>`,
  ].join('\n');
}

const nameOf = ({ frame }: Fate): string => (frame.kind === 'mark' ? 'mark' : `LSN ${frame.lsn}`);

/** What a frame says was durable when it was written. */
const saidBy = ({ frame }: Fate): string => (frame.provenLsn === 0 ? 'proves –' : `proves ${frame.provenLsn}`);

/** Breaks a text into lines. */
function linesOf(text: string): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length < CHARACTERS) lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** What opening said. */
function resultOf({ fates, acknowledgedLsn, report, refusal }: Outcome): string {
  if (refusal !== undefined)
    return `${refusal.code}, reason ${refusal.reason}, LSN ${refusal.lsn}: nothing was changed.`;
  if (report === undefined) throw new Error('a scene without an outcome');
  const { reason, records, firstLsn, lastLsn } = report;
  const lost = fates.filter(
    ({ frame, after }) => frame.kind === 'record' && frame.lsn <= acknowledgedLsn && after !== 'kept',
  );
  const losses =
    lost.length === 0
      ? 'nothing acknowledged is lost'
      : `acknowledged and lost: LSN ${lost.map(({ frame }) => frame.lsn).join(', ')}`;
  return `Opened: '${reason}', ${records} records, LSN ${firstLsn} to ${lastLsn}; ${losses}.`;
}

/** A scene and its outcome as an SVG file: what was written, what was on the disk, and what opening made of it. */
export function strip(scene: Scene, outcome: Outcome): string {
  const { fates } = outcome;
  const rows = [
    ['Written', ...fates.map((fate, index) => [index, 'good', nameOf(fate), saidBy(fate)] as const)],
    [
      'On the disk',
      ...fates.map((fate, index) => [index, FOUND[fate.found][0], nameOf(fate), FOUND[fate.found][1]] as const),
    ],
    [
      'After opening',
      ...fates.map((fate, index) => [index, AFTER[fate.after][0], nameOf(fate), AFTER[fate.after][1]] as const),
    ],
  ] as const;
  const resultLines = linesOf(resultOf(outcome));
  const titleLines = linesOf(scene.title);
  const top = MARGIN + 6 + titleLines.length * LINE_HEIGHT;
  const bottom = top + rows.length * ROW_HEIGHT + TITLE_HEIGHT;
  const height = bottom + (resultLines.length - 1) * LINE_HEIGHT + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(scene.title)}">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}"/>`,
    ...titleLines.map(
      (line, index) =>
        `<text class="title" x="${MARGIN}" y="${MARGIN + 13 + index * LINE_HEIGHT}">${escaped(line)}</text>`,
    ),
    ...rows.flatMap(([label, ...cells], row) => [
      `<text class="quiet" x="${MARGIN}" y="${top + row * ROW_HEIGHT + 18}">${label}</text>`,
      ...cells.map(([index, kind, first, second]) => cell(index, top + row * ROW_HEIGHT + 24, kind, first, second)),
    ]),
    ...resultLines.map(
      (line, index) => `<text x="${MARGIN}" y="${bottom + index * LINE_HEIGHT}">${escaped(line)}</text>`,
    ),
    '</svg>\n',
  ].join('\n');
}
