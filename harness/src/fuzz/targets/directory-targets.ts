import { encodeCheckpoint, parseSegmentFileName, segmentFileName } from '@walstack/codec';
import fc from 'fast-check';
import { checkAround } from '../checks/around-check.js';
import { type DamagedDirectory, salvagedPartly } from '../checks/damaged-directory.js';
import { checkDirectory } from '../checks/directory-check.js';
import { STRANGERS } from '../checks/opening-checks.js';
import { HISTORIES, headerOf, historyOf } from '../logs/histories.js';
import type { Entry, Tree } from '../logs/trees.js';
import { target } from './target.js';

/** What was done to the directory of a log. Files and logs are taken modulo their number. */
type Damage =
  | { readonly kind: 'remove'; readonly file: number }
  | {
      readonly kind: 'name';
      readonly file: number;
      readonly number: number;
      readonly lsn: number;
      readonly move: boolean;
    }
  | { readonly kind: 'cut' | 'flip'; readonly file: number; readonly where: number }
  | { readonly kind: 'zero'; readonly file: number; readonly where: number; readonly length: number }
  | { readonly kind: 'swap'; readonly file: number; readonly other: number }
  | { readonly kind: 'older'; readonly which: number; readonly file: number }
  | { readonly kind: 'older directory'; readonly which: number }
  | { readonly kind: 'stranger'; readonly which: number; readonly file: number }
  | { readonly kind: 'checkpoint'; readonly own: boolean; readonly firstSegment: number; readonly lsn: number }
  | { readonly kind: 'garbage'; readonly number: number; readonly lsn: number; readonly what: Entry }
  | { readonly kind: 'other'; readonly name: string; readonly what: Entry };

const file = fc.nat(40);
const where = fc.oneof(fc.double({ noNaN: true, min: 0, max: 1 }), fc.constantFrom(0, 0.05, 0.2, 0.999));
const number = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 16 }) },
  fc.constantFrom(9_999_999_999, 9_000_000_000),
);
const lsn = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 95, max: 150 }));
const what: fc.Arbitrary<Entry> = fc.oneof(
  fc.constantFrom<Entry>('directory', 'nowhere', new Uint8Array(0)),
  fc.uint8Array({ minLength: 1, maxLength: 20 }),
  fc.nat(255).map((byte) => new Uint8Array(1500).fill(byte)),
);

const damages: fc.Arbitrary<Damage> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), file }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('name' as const), file, number, lsn, move: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'flip' as const), file, where }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('zero' as const), file, where, length: fc.integer({ min: 1, max: 900 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('swap' as const), file, other: file }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('older' as const), which: file, file }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('older directory' as const), which: file }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('stranger' as const), which: file, file }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('checkpoint' as const),
      own: fc.boolean(),
      firstSegment: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 20 }) }, fc.constant(9_999_999_999)),
      lsn,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('garbage' as const), number, lsn, what }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('other' as const),
      name: fc.constantFrom(
        'quarantine',
        'next.seg',
        'checkpoint.new',
        'salvage',
        'salvage.new',
        'free-3.seg',
        'notes.txt',
      ),
      what,
    }),
  },
);

/** What came before: damage, and a salvage of that which was killed. */
interface Interrupted {
  readonly damages: readonly Damage[];
  /** Changes that the salvage has made. */
  readonly after: number;
}

interface Shape {
  readonly history: number;
  readonly interrupted: Interrupted | undefined;
  readonly allowPlaintext: boolean;
  readonly damages: readonly Damage[];
  readonly ahead: number;
  readonly kills: 'all' | number;
}

/** An input as the corpus has it: the history is known by its number. */
interface Input extends Omit<DamagedDirectory, 'history' | 'tree'> {
  readonly history: number;
  readonly tree: Readonly<Record<string, Entry>>;
}

function inputOf({ history: index, interrupted, damages: list, ahead, kills, allowPlaintext }: Shape): Input {
  const history = historyOf(index);
  const salvageLsn = Math.max(1, history.lastLsn + 1 - ahead);
  const rest = { salvageLsn, kills, allowPlaintext };
  const inOrder = (tree: Tree, all: readonly Damage[]): Tree =>
    all.reduce((from, damage) => damaged(from, index, damage), tree);
  let { tree } = history;
  if (interrupted !== undefined) {
    tree = inOrder(tree, interrupted.damages);
    tree = salvagedPartly({ ...rest, history, tree }, interrupted.after);
  }
  return { ...rest, history: index, tree: Object.fromEntries(inOrder(tree, list)) };
}

function damaged(tree: Tree, index: number, damage: Damage): Tree {
  const names = [...tree.keys()].filter((path) => !path.includes('/'));
  const nameAt = (at: number): string => names[at % names.length] ?? 'checkpoint';
  const put = (name: string, entry: Entry | undefined): Tree => {
    const changed = new Map(tree);
    if (entry !== undefined) changed.set(name, entry);
    return changed;
  };
  const bytesAt = (name: string): Uint8Array => {
    const entry = tree.get(name);
    return entry instanceof Uint8Array ? entry.slice() : new Uint8Array(0);
  };
  switch (damage.kind) {
    case 'remove':
      return new Map([...tree].filter(([name]) => name !== nameAt(damage.file)));
    case 'name': {
      const name = nameAt(damage.file);
      const changed = new Map(put(segmentFileName(damage.number, damage.lsn), tree.get(name)));
      if (damage.move) changed.delete(name);
      return changed;
    }
    case 'cut':
    case 'flip':
    case 'zero': {
      const name = nameAt(damage.file);
      const bytes = bytesAt(name);
      const at = Math.max(0, Math.min(bytes.length - 1, Math.floor(damage.where * bytes.length)));
      if (damage.kind === 'cut') return put(name, bytes.subarray(0, at));
      if (damage.kind === 'zero') bytes.fill(0, at, at + damage.length);
      else if (bytes.length > 0) bytes[at] = (bytes[at] as number) ^ 0xff;
      return put(name, bytes);
    }
    case 'swap': {
      const [one, other] = [nameAt(damage.file), nameAt(damage.other)];
      return new Map(put(one, tree.get(other))).set(other, tree.get(one) ?? new Uint8Array(0));
    }
    case 'older':
    case 'older directory': {
      const { older } = historyOf(index);
      const from = older[damage.which % older.length];
      if (from === undefined) return tree;
      const files = [...from].filter(([path]) => parseSegmentFileName(path) !== undefined || path === 'checkpoint');
      const chosen = damage.kind === 'older' ? files.slice(damage.file % files.length).slice(0, 1) : files;
      return new Map([...tree, ...chosen]);
    }
    case 'stranger': {
      const stranger = historyOf(STRANGERS[damage.which % STRANGERS.length] as number);
      const files = [...stranger.tree].filter(([path]) => !path.includes('/'));
      const [name, entry] = files[damage.file % files.length] as [string, Entry];
      return put(name, entry);
    }
    case 'checkpoint': {
      const own = [...tree.values()]
        .map((entry) => (entry instanceof Uint8Array ? headerOf(entry) : undefined))
        .find(Boolean);
      const logId = damage.own && own !== undefined ? own.logId : new Uint8Array(16).fill(1);
      const { firstSegment } = damage;
      const checkpointLsn = Math.min(damage.lsn, historyOf(index).lastLsn);
      return put('checkpoint', encodeCheckpoint({ logId, firstSegment, checkpointLsn, holds: { kept: 3 } }));
    }
    case 'garbage':
      return put(segmentFileName(damage.number, damage.lsn), damage.what);
    case 'other':
      return tree.has(damage.name) || [...tree.keys()].some((path) => path.startsWith(`${damage.name}/`))
        ? tree
        : put(damage.name, damage.what);
  }
}

const SHAPES: fc.Arbitrary<Shape> = fc.record({
  history: fc.nat(HISTORIES - 1),
  interrupted: fc.option(fc.record({ damages: fc.array(damages, { minLength: 1, maxLength: 2 }), after: fc.nat(40) }), {
    nil: undefined,
  }),
  allowPlaintext: fc.boolean(),
  damages: fc.array(damages, { minLength: 1, maxLength: 4 }),
  ahead: fc.oneof(fc.constant(0), fc.integer({ min: -2, max: 30 })),
  kills: fc.oneof({ weight: 1, arbitrary: fc.constant('all' as const) }, { weight: 6, arbitrary: fc.nat() }),
});

const checkedBy =
  (check: (input: DamagedDirectory) => void) =>
  ({ history, tree, ...rest }: Input): void =>
    check({ ...rest, history: historyOf(history), tree: new Map(Object.entries(tree)) });

const directories = target<Shape, Input>({
  name: 'damaged directory',
  shapes: SHAPES,
  inputOf,
  check: checkedBy(checkDirectory),
});

const around = target<Shape, Input>({
  name: 'directory around its damage',
  shapes: SHAPES,
  inputOf,
  check: checkedBy(checkAround),
});

/** Whole directories of logs, in which files are missing, doubled, renamed, damaged, too old, or of another log. */
export const DIRECTORY_TARGETS = [directories, around];
