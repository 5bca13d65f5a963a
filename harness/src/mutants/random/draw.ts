import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../random.js';
import type { Defect } from '../defect.js';
import { type Mutation, mutationsOf } from './mutations.js';

/** What stands between an append and what is read back. */
const FOLDERS = [
  'packages/codec/src',
  'packages/mmap-reader/src',
  'packages/percore/src',
  'packages/segmented/src',
  'packages/storage-io/src',
  'packages/wal/src',
];

/** What tests other people's backends, and what the tests run on. */
const LEFT_OUT = ['packages/storage-io/src/conformance', 'packages/storage-io/src/simulation'];

/** A defect at random, and where it is. */
export interface RandomDefect extends Defect {
  /** What is replaced and by what, without the text around it. */
  readonly change: string;
}

/** Draws so many different changes of all that there are; the same ones for the same seed and sources. */
export function drawDefects(root: string, count: number, seed: number): readonly RandomDefect[] {
  const all = FOLDERS.flatMap((folder) => sourcesIn(root, folder)).flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    return mutationsOf(text).map((mutation) => ({ file, text, mutation }));
  });
  const random = new Random(seed);
  const drawn: RandomDefect[] = [];
  while (drawn.length < count && all.length > 0) {
    const [{ file, text, mutation }] = all.splice(random.integer(0, all.length - 1), 1) as [(typeof all)[number]];
    drawn.push(defectOf(file, text, mutation, `random-${seed}-${drawn.length + 1}`));
  }
  return drawn;
}

/** A change as a deliberate defect: with as many whole lines around it as make its place the only one. */
export function defectOf(file: string, text: string, mutation: Mutation, name = 'random'): RandomDefect {
  const { start, end, replace } = mutation;
  let from = text.lastIndexOf('\n', start - 1) + 1;
  let to = endOfLine(text, end);
  while (text.indexOf(text.slice(from, to)) !== from || text.includes(text.slice(from, to), from + 1)) {
    from = text.lastIndexOf('\n', from - 2) + 1;
    to = endOfLine(text, Math.min(text.length, to + 1));
  }
  const line = text.slice(0, start).split('\n').length;
  const change = `${shown(text.slice(start, end))} becomes ${shown(replace)} in ${shown(text.slice(text.lastIndexOf('\n', start - 1) + 1, endOfLine(text, start)))}`;
  return {
    name,
    breaks: `${file}:${line}: ${change}`,
    change,
    file,
    find: text.slice(from, to),
    replace: text.slice(from, start) + replace + text.slice(end, to),
  };
}

const endOfLine = (text: string, at: number): number => {
  const end = text.indexOf('\n', at);
  return end === -1 ? text.length : end;
};

/** On one line, and not too long of it. */
const shown = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return `\`${line.length > 120 ? `${line.slice(0, 117)}...` : line}\``;
};

function sourcesIn(root: string, folder: string): readonly string[] {
  if (LEFT_OUT.includes(folder)) return [];
  return readdirSync(join(root, folder), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return sourcesIn(root, path);
      return entry.name.endsWith('.ts') ? [path] : [];
    });
}
