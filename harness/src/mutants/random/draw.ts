import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../random.js';
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
export interface RandomDefect {
  readonly file: string;
  readonly line: number;
  /** What is replaced and by what, and the line that it is in: with the file it names the change while lines move. */
  readonly change: string;
  readonly mutation: Mutation;
}

/** All changes that there are, by file and place. */
export const allDefects = (root: string): readonly RandomDefect[] =>
  FOLDERS.flatMap((folder) => sourcesIn(root, folder)).flatMap((file) =>
    defectsIn(file, readFileSync(join(root, file), 'utf8')),
  );

/** Draws so many different ones; the same ones for the same seed and sources. */
export function drawDefects(defects: readonly RandomDefect[], count: number, seed: number): readonly RandomDefect[] {
  const rest = [...defects];
  const random = new Random(seed);
  const drawn: RandomDefect[] = [];
  while (drawn.length < count && rest.length > 0) {
    drawn.push(...rest.splice(random.integer(0, rest.length - 1), 1));
  }
  return drawn;
}

/** All changes of a source. */
export function defectsIn(file: string, text: string): readonly RandomDefect[] {
  const before = new Map<string, number>();
  return mutationsOf(text).map((mutation) => {
    const { start, end, replace } = mutation;
    const line = text.slice(text.lastIndexOf('\n', start - 1) + 1, endOfLine(text, start));
    const shownOnce = `${shown(text.slice(start, end))} becomes ${shown(replace)} in ${shown(line)}`;
    const place = (before.get(shownOnce) ?? 0) + 1;
    before.set(shownOnce, place);
    const change = place === 1 ? shownOnce : `${shownOnce} (${place})`;
    return { file, line: text.slice(0, start).split('\n').length, change, mutation };
  });
}

/** A change and its place, on one line. */
export const described = ({ file, line, change }: RandomDefect): string => `${file}:${line}: ${change}`;

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
